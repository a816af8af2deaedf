"""The sandbox as a Django app: no models, only a management command."""

from django.apps import AppConfig


class SandboxConfig(AppConfig):
    """The stand-in upstream."""

    name = "sandbox"
