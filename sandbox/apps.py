"""Django's view of the sandbox: an app without models, for its management command."""

from django.apps import AppConfig


class SandboxConfig(AppConfig):
    """The stand-in upstream."""

    name = "sandbox"
