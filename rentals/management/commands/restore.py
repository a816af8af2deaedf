"""`manage.py restore FILE`: put a backup in the place of the database and the recordings, while the desk is stopped."""

from argparse import ArgumentParser
from datetime import timedelta
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.sessions.models import Session
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.utils import timezone

from accounts.models import User
from lib.desk_command import use_one_connection
from lib.files import backup
from lib.key_rotation import undecryptable
from rentals import lifecycle
from rentals.jobs.upkeep.heartbeats import STALE_SECONDS
from rentals.models import Heartbeat, Rental, Status

MAX_SHOWN = 10


class Command(BaseCommand):
    help = "Put a backup in the place of the database and the recordings. The desk must be stopped."
    requires_migrations_checks = False

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("file", type=Path, help="what `manage.py backup` wrote")
        parser.add_argument(
            "--verify", action="store_true", help="only read it to its end, and its database; change nothing"
        )
        parser.add_argument("--replace", action="store_true", help="even where the database has people already")

    def handle(self, *args: Any, file: Path, replace: bool, verify: bool, **options: Any) -> None:
        try:
            if verify:
                self._say_verified(file, backup.verify(file, settings.BACKUP_PASSPHRASE))
                return
            use_one_connection()
            with backup.opened(file, settings.BACKUP_PASSPHRASE) as plain, backup.desk_stopped():
                manifest = backup.read_manifest(plain)
                _refuse_newer(manifest)
                if manifest.demo and not settings.DEMO:
                    raise CommandError(
                        "This is a backup of the demo: its numbers and its money are made up. Restore it where "
                        "THUESIM_BASE_URL is not set."
                    )
                _refuse_running_elsewhere()
                if _has_people() and not replace:
                    raise CommandError(
                        "The database has people already. With --replace the backup takes its place; make a backup of it "
                        "first."
                    )
                kept = backup.restore(plain, manifest)
                call_command("migrate", interactive=False, verbosity=0)
                call_command("createcachetable", verbosity=0)
                cancelled = _make_safe()
        except backup.BackupFailed as error:
            raise CommandError(str(error)) from None
        self.stdout.write(f"Restored: the desk of {manifest.made_at}. Everybody signs in again.")
        if settings.DEMO:
            self.stderr.write("It is in the place of the demo: THUESIM_BASE_URL is not set here.")
        if cancelled:
            self.stdout.write(
                f"{cancelled} orders that stood in the queue then are cancelled: they may have been placed since."
            )
        if kept:
            self.stdout.write(f"What was there before is in {kept}; delete it when all is well.")
        self._say_missing_key()

    def _say_verified(self, file: Path, manifest: backup.Manifest) -> None:
        keys = "with" if backup.TOKEN_KEYS in manifest.files else "without"
        self.stdout.write(
            f"{file} is whole: the desk of {manifest.made_at} ({manifest.database}), {keys} its keys. Nothing was changed."
        )

    def _say_missing_key(self) -> None:
        if (other := Path(settings.DATA_DIR) / backup.OTHER_KEYS).exists():
            self.stdout.write(
                f"The keys of the backup are in {other}, behind those in use here: before you start the desk, set "
                f"DESK_SECRET_KEYS_FILE={other} in the place of DESK_SECRET_KEYS."
            )
            return
        lost = undecryptable()
        if not lost:
            self.stdout.write("The keys fit: every secret can be read.")
            return
        shown = ", ".join(lost[:MAX_SHOWN]) + (f" and {len(lost) - MAX_SHOWN} more" if len(lost) > MAX_SHOWN else "")
        self.stderr.write(
            f"A key is missing: no key decrypts {shown}. Before you start the desk, put the key that they were encrypted "
            "with (the former DESK_SECRET_KEYS, or what stands in token_key of the former data directory) into "
            "DESK_SECRET_KEYS; or enter these tokens anew in the admin."
        )


def _refuse_newer(manifest: backup.Manifest) -> None:
    """Raise `BackupFailed` where the backup has migrations that this version does not know."""
    loader = MigrationLoader(None, ignore_no_migrations=True)
    known = {f"{app}.{name}" for app, name in loader.disk_migrations}
    known |= {f"{app}.{name}" for migration in loader.disk_migrations.values() for app, name in migration.replaces}
    newer = [name for name in manifest.migrations if name not in known]
    if newer:
        raise backup.BackupFailed(
            f"The backup is of a newer version of the desk ({newer[0]}). Restore it with that version."
        )


def _refuse_running_elsewhere() -> None:
    """Raise `BackupFailed` where processes on another machine use the database."""
    try:
        recent = timezone.now() - timedelta(seconds=STALE_SECONDS)
        names = list(Heartbeat.objects.filter(at__gt=recent).values_list("name", flat=True)[:1])
    except DatabaseError:  # it has no tables yet
        connection.close()
        return
    if names:
        raise backup.BackupFailed(
            f"{names[0]} worked on this database less than {STALE_SECONDS} s ago. Stop it, and wait."
        )
    if others := _other_connections():
        raise backup.BackupFailed(
            f"{others} other connections use this database. Stop ./run on every machine, and programs that read it."
        )


def _other_connections() -> int:
    """Return how many connections to the database there are beside ours: web processes write no heartbeat."""
    if connection.vendor != "postgresql":
        return 0
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
            "AND backend_type = 'client backend'"
        )
        return int(cursor.fetchone()[0])


def _has_people() -> bool:
    try:
        return User.objects.exists()
    except DatabaseError:
        connection.close()
        return False


def _make_safe() -> int:
    """Make an old state safe to go on from. Returns how many orders were cancelled.

    An order in the queue may have been placed after the backup: placing it now would pay twice. What was rented since is
    imported from ThueSim's history.
    """
    Session.objects.all().delete()
    Heartbeat.objects.all().delete()
    return sum(lifecycle.cancel(rental, person=None) for rental in Rental.objects.filter(status=Status.QUEUED))
