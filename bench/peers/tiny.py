"""The smallest Django site with a page like ours: a signed-in person, a session, one query, a template.

Serves as one and the same page for each server that is measured. Configured from `TINY_DATABASE`, a SQLite file, and
`TINY_CONN_MAX_AGE`, in seconds: Django's default of 0 where a peer is plain.
"""

import os
from importlib import import_module
from typing import Any

import django
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.urls import path

settings.configure(
    SECRET_KEY="tiny",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF=__name__,
    USE_TZ=True,
    PROXIES=[],  # this and the next are read by `thuesim_site.serving.connections`
    MAX_CONNECTIONS=500,
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ["TINY_DATABASE"],
            "CONN_MAX_AGE": int(os.environ.get("TINY_CONN_MAX_AGE", "0")),
            "OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 20, "init_command": "PRAGMA journal_mode=WAL"},
        }
    },
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.common.CommonMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ],
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
)
django.setup()

PAGE = engines["django"].from_string("<title>{{ user }}</title><p>{{ group.pk }} {{ group.name }}</p>")


def page(request: HttpRequest) -> HttpResponse:
    """One row for a signed-in person."""
    from django.contrib.auth.models import Group

    assert request.user.is_authenticated
    return HttpResponse(PAGE.render({"user": request.user, "group": Group.objects.first()}))


urlpatterns = [path("", page)]

wsgi = WSGIHandler()
asgi = ASGIHandler()


def threads() -> Any:
    """The same pages as `thuesim_site.asgi` serves them."""
    from thuesim_site.serving.wsgi_threads import Pages

    return Pages(wsgi)


def a2wsgi() -> Any:
    """The same pages through a2wsgi."""
    return import_module("a2wsgi").WSGIMiddleware(wsgi, workers=16)


def prepare() -> str:
    """Make the tables and rows; return a signed-in session's key."""
    from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
    from django.contrib.auth.models import Group, User
    from django.contrib.sessions.backends.db import SessionStore
    from django.core.management import call_command

    call_command("migrate", verbosity=0)
    Group.objects.bulk_create(Group(name=f"group {number}") for number in range(20))
    person = User.objects.create_user("tiny")
    session = SessionStore()
    session[SESSION_KEY] = str(person.pk)
    session[BACKEND_SESSION_KEY] = "django.contrib.auth.backends.ModelBackend"
    session[HASH_SESSION_KEY] = person.get_session_auth_hash()
    session.save()
    return str(session.session_key)
