"""`manage.py sandbox`: the stand-in ThueSim."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from sandbox import command_line


class Command(BaseCommand):
    """Runs the stand-in until a signal stops it."""

    help = command_line.DESCRIPTION
    requires_system_checks: list[str] = []

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """The usual parser, with the list of faults below the options."""
        kwargs |= {"epilog": command_line.EPILOG, "formatter_class": argparse.RawDescriptionHelpFormatter}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        """The sandbox's own options."""
        command_line.add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        """Serve until a signal stops it."""
        try:
            command_line.serve(argparse.Namespace(**options))
        except (OSError, ValueError) as error:
            raise CommandError(str(error)) from error
