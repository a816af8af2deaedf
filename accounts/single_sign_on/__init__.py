"""Single sign-on by OpenID Connect, on top of allauth: who may come in, and what their groups give them.

A Django app, since allauth looks for providers in apps alone. How it is set up: docs/single-sign-on.md.
"""
