"""Print a link that signs an admin in once, while the sign-in provider is down: see docs/single-sign-on.md."""

from typing import Any
from urllib.parse import urljoin

from django.conf import settings
from django.core.management import CommandError, CommandParser
from django.urls import reverse

from accounts.single_sign_on import break_glass
from lib.desk_command import DeskCommand


class Command(DeskCommand):
    help = "Print a link that signs an admin in once, within ten minutes. It is recorded, and every admin is told."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("admin", help="the admin's e-mail address or user name")

    def handle(self, *args: Any, admin: str, **options: Any) -> None:
        try:
            person = break_glass.admin_with(admin)
        except break_glass.NoSuchAdmin as error:
            raise CommandError(str(error)) from None
        host = f"[{settings.HOST}]" if ":" in settings.HOST else settings.HOST
        base = settings.PUBLIC_URL or f"http://{host}:{settings.PORT}"
        self.stdout.write(urljoin(base, reverse("break_glass", args=[break_glass.make_secret(person)])))
