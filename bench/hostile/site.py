"""The site that the peers of `bench.hostile` serve: the desk's own pages, and an open stream beside them.

The stream is Django's own (`bench.peers.streams.streaming`), since the desk's is no Django view.
"""

import django
from django.conf import settings
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.urls import URLPattern, URLResolver, include, path

django.setup()
settings.ROOT_URLCONF = __name__

from bench.peers.streams import streaming  # noqa: E402 - after the set-up

urlpatterns: list[URLPattern | URLResolver] = [path("live/", streaming), path("", include("thuesim_site.urls"))]
wsgi = WSGIHandler()
asgi = ASGIHandler()
