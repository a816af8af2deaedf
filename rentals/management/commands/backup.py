"""`manage.py backup FILE`: write the database and the recordings to one file, while the desk works."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from lib.desk_command import DeskCommand
from lib.files import backup, shared_files

ENCRYPTED = (
    "Encrypted, with the keys in it. Not in it: .env and exports. Keep DESK_BACKUP_PASSPHRASE elsewhere: without it the "
    "backup is lost."
)
PLAIN = (
    "Not in it: the keys (DESK_SECRET_KEYS or the file token_key, SECRET_KEY or secret_key) and .env. Keep them elsewhere: "
    "without the first, the tokens in it cannot be read. Exports are not in it either; they can be made again."
)


class Command(DeskCommand):
    help = "Write the database and the recordings to one file. The desk may go on working."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("target", type=Path, help="a new file, or a folder in which it gets a name with the time")

    def handle(self, *args: Any, target: Path, **options: Any) -> None:
        try:
            path, manifest = backup.write(target, settings.BACKUP_PASSPHRASE)
        except backup.BackupFailed as error:
            raise CommandError(str(error)) from None
        recordings = sum(name.startswith(f"{backup.MEDIA}/") for name in manifest.files)
        self.stdout.write(
            f"{path}: {path.stat().st_size / 1e6:.1f} MB, the database ({manifest.database}) and {recordings} recordings, "
            "verified.\n" + (ENCRYPTED if settings.BACKUP_PASSPHRASE else PLAIN)
        )
        if shared_files.are_remote():
            self.stdout.write(
                "The recordings are in the bucket of DESK_FILES_URL and not in this file: back the bucket up as well, or "
                "keep its older versions."
            )
        if settings.DEMO:
            self.stderr.write(
                "This is the demo's: THUESIM_BASE_URL is not set here. If you give it to ./run on the command line, give it "
                "to this command, too."
            )
