"""`manage.py rebuild_sums`: count the sums of spending anew from rentals and ledger, and find the refunds that are missing;
with `--check`, compare them."""

from contextlib import suppress
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import OperationalError

from lib.desk_command import DeskCommand
from rentals import missing_refunds, sums

MAX_ATTEMPTS = 20


class Command(DeskCommand):
    help = (
        "Count the sums that the spend page and the budgets read anew, find the rentals that expired and were not refunded, "
        "in batches and while the desk works, and compare both with the rentals and the ledger."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--check", action="store_true", help="Compare alone, and change nothing.")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["check"]:
            self._start_over()
            while not sums.count_older():
                self.stdout.write("counting …")
            missing_refunds.correct()
        wrong = sums.differences()
        for row in wrong:
            self.stdout.write(" ".join(map(str, row)))
        refunds = missing_refunds.wrong()
        if refunds:
            self.stdout.write(f"{refunds} rentals are wrong about whether their refund is missing")
        if wrong or refunds:
            raise CommandError("These differ from the rentals. Run rebuild_sums without --check.")
        self.stdout.write("The sums are those of the rentals and the ledger.")

    def _start_over(self) -> None:
        for _attempt in range(MAX_ATTEMPTS):
            with suppress(OperationalError):
                sums.start_over(patient=False)
                return
        raise CommandError("The tables are being written without a pause. Run rebuild_sums again when less goes on.")
