"""The web pages as a Django app: no models."""

from django.apps import AppConfig


class PagesConfig(AppConfig):
    name = "pages"
