"""`manage.py rotate_keys`: after a new key was put in front of `DESK_SECRET_KEYS`, encrypt every secret with it."""

from typing import Any

from django.core.management.base import CommandError

from lib.desk_command import DeskCommand
from lib.key_rotation import rotate_keys


class Command(DeskCommand):
    help = (
        "Encrypt all secrets (token values, callback addresses, two-factor secrets) with the first of DESK_SECRET_KEYS. "
        "Safe to run while the desk works, and more than once."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        done = rotate_keys()
        self.stdout.write(f"{done.renewed} secrets encrypted with the newest key; {done.current} were already.")
        if done.lost:
            raise CommandError(
                f"No key in DESK_SECRET_KEYS decrypts {', '.join(done.lost)}. Put the key that is missing at the end of the "
                "list and run this again, or enter these anew."
            )
        self.stdout.write("The other keys are needed no more.")
