"""The command line `thuesim-desk`."""

from __future__ import annotations

import argparse
import contextlib
import getpass
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from types import FrameType
from typing import Any, Callable

from . import config, doctor, errors
from .desk import Desk
from .rental import NotRented, Rental, RentalExpired, WaitTimeout
from .tables import clean, dong, table
from .version import VERSION

INTERRUPTED = 130
_EPILOG = """\
exit codes:
  0    done
  1    the desk refused or failed for another reason
  2    wrong arguments, or no address and key
  3    not rented: no number, nothing charged
  4    not within --timeout; the rental goes on
  5    the number's time ended without a code
  6    the key is not valid, or lacks the scope
  7    the desk cannot be reached
  130  Ctrl-C

The address and the key come from THUESIM_DESK_URL and THUESIM_DESK_KEY, else from `thuesim-desk login`.
"""
_EXIT_CODES: list[tuple[type[errors.DeskError], int]] = [
    (NotRented, 3),
    (WaitTimeout, 4),
    (RentalExpired, 5),
    (errors.Unauthorized, 6),
    (errors.Forbidden, 6),
    (errors.Unreachable, 7),
    (errors.UnexpectedAnswer, 7),
    (errors.ServerError, 7),
]


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return command(options)
    except errors.DeskError as error:
        if options.json:
            rental = getattr(error, "rental", None)
            print(json.dumps({"error": {"code": error.code, "detail": error.detail}, "rental": rental and rental.data}))
        _say(f"thuesim-desk: {error}")
        return next((code for kind, code in _EXIT_CODES if isinstance(error, kind)), 1)
    except ValueError as error:
        _say(f"thuesim-desk: {error}")
        return 2
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    formatter = argparse.RawDescriptionHelpFormatter
    text = "Rent one-time Vietnamese numbers from a ThueSim Desk and wait for their codes."
    parser = argparse.ArgumentParser(prog="thuesim-desk", description=text, epilog=_EPILOG, formatter_class=formatter)
    parser.add_argument("--version", action="version", version=VERSION)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="JSON for machines instead of a table")
    waiting = argparse.ArgumentParser(add_help=False)
    waiting.add_argument("--timeout", type=float, default=600, metavar="SECONDS", help="how long to wait (600)")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def add(name: str, command: Callable[[argparse.Namespace], int], text: str, *more: Any) -> argparse.ArgumentParser:
        added = commands.add_parser(
            name, help=text, description=text, epilog=_EPILOG, parents=[common, *more], formatter_class=formatter
        )
        added.set_defaults(command=command)
        return added

    login = add("login", _login, "Store the address of a desk and a key, for you alone; the key is asked for.")
    login.add_argument("url", help="as https://desk.example.com")
    login.add_argument("--key-stdin", action="store_true", help="read the key from standard input")
    add("doctor", _doctor, "Check that the address and the key can rent a number and read its code. Costs nothing.")
    services = add("services", _services, "Services with their prices.")
    services.add_argument("q", nargs="?", default="", help="part of the name or id")
    rent = add("rent", _rent, "Rent one number.", waiting)
    rent.add_argument("service", help="its id, as 01.2")
    rent.add_argument("--network", action="append", default=[], help="a carrier, as VIETTEL; may be repeated")
    rent.add_argument("--prefix", action="append", default=[], help="first digits; may be repeated")
    rent.add_argument("--exclude-prefix", action="append", default=[], help="not these first digits; may be repeated")
    rent.add_argument("--purpose", default="", help="what it is for")
    rent.add_argument("--max-price", type=int, metavar="DONG", help="not dearer than this")
    rent.add_argument("--keep-trying", type=int, metavar="MINUTES", help="how long to go on while there is no number")
    rent.add_argument("--token", type=int, metavar="ID", help="the token to rent with")
    rent.add_argument("--wait", action="store_true", help="wait for the number and for its code")
    wait = add("wait", _wait, "Wait for the number and the code of a rental, and print the code.", waiting)
    wait.add_argument("rental", type=int, help="its id")
    wait.add_argument("--after", type=int, metavar="MESSAGE", help="a code of a later message than this one")
    rentals = add("list", _list, "Rentals, the newest first.")
    rentals.add_argument("--status", default="", help="only these, as waiting")
    rentals.add_argument("--number", type=int, default=20, help="how many at most (20)")
    add("balance", _balance, "Balances of the team's tokens, and what is left of the key's budget.")
    mcp = add("mcp", _mcp, "Serve tools to an agent over MCP on standard input and output.")
    mcp.set_defaults(json=False)
    return parser


def _login(options: argparse.Namespace) -> int:
    key = (sys.stdin.readline() if options.key_stdin else getpass.getpass("Key: ")).strip()
    desk = Desk(options.url, key, retry_for=0)
    me = desk.me()
    file = config.store(desk.url, key)
    text = (
        f"Signed in as {me['person']['name']}, team {me['team']['name']}. Stored in {file}. Next: thuesim-desk doctor"
    )
    _print(options, me, text)
    return 0


def _doctor(options: argparse.Namespace) -> int:
    made: list[doctor.Check] = []
    for check in doctor.checks(Desk(retry_for=0)):
        made.append(check)
        if not options.json:
            print(f"{'ok' if check.ok else '!!'}  {check.name:8}  {clean(check.detail)}", flush=True)
    is_well = all(check.ok for check in made)
    if options.json:
        print(json.dumps({"ok": is_well, "checks": [check._asdict() for check in made]}, ensure_ascii=False))
    return 0 if is_well else 1


def _services(options: argparse.Namespace) -> int:
    services = Desk().services(options.q)
    rows = [
        (
            service.get("id"),
            service.get("name"),
            dong(service.get("price")),
            _seconds(service.get("wait_seconds")),
            _share(service.get("success_share")),
            _seconds(service.get("median_seconds")),
        )
        for service in services
    ]
    _print(options, services, table(["ID", "NAME", "PRICE", "WAITS", "SUCCESS", "MEDIAN"], rows))
    return 0


def _rent(options: argparse.Namespace) -> int:
    desk = Desk()
    with _finish_first() as interrupted:
        rental = desk.rent(
            options.service,
            networks=options.network,
            prefixes=options.prefix,
            exclude_prefixes=options.exclude_prefix,
            purpose=options.purpose,
            max_price=options.max_price,
            keep_trying_minutes=options.keep_trying,
            token=options.token,
        )
        _say(f"rental {rental.id}: {rental.status}")
    if interrupted():
        return _stopped(rental, cancel=True)
    if not options.wait:
        _print(options, rental.data, str(rental.id))
        return 0
    return _wait_for_code(options, rental, after=None, cancel=True)


def _wait(options: argparse.Namespace) -> int:
    return _wait_for_code(options, Desk().rental(options.rental), after=options.after, cancel=False)


def _wait_for_code(options: argparse.Namespace, rental: Rental, *, after: int | None, cancel: bool) -> int:
    """Wait and print the code. `cancel`: Ctrl-C cancels an order that is still in the queue."""
    started = time.monotonic()
    try:
        number = rental.wait_for_number(options.timeout)
        _say(f"rental {rental.id}: {number.national}")
        code = rental.wait_for_code(max(0, options.timeout - (time.monotonic() - started)), after=after)
    except KeyboardInterrupt:
        return _stopped(rental, cancel=cancel)
    _print(options, rental.data, clean(code))
    return 0


def _stopped(rental: Rental, *, cancel: bool) -> int:
    """Say after Ctrl-C how the rental stands; `cancel`: an order that is still in the queue is cancelled."""
    if cancel:
        rental.close()
    _say(f"\nrental {rental.id}: {_how_it_stands(rental)}")
    return INTERRUPTED


def _how_it_stands(rental: Rental) -> str:
    if rental.status == "cancelled":
        return "cancelled, nothing was charged"
    number = f", number {rental.phone.national}" if rental.phone else ""
    return f"{rental.status}{number}; it goes on. Wait again with: thuesim-desk wait {rental.id}"


def _list(options: argparse.Namespace) -> int:
    filters = {"status": options.status} if options.status else {}
    rentals = [rental for rental, _ in zip(Desk().rentals(**filters), range(options.number))]
    rows = [
        (
            rental.id,
            rental.service,
            rental.status,
            rental.phone.national if rental.phone else "",
            rental.code or "",
            dong(rental.price),
            _minute(rental.data.get("queued_at")),
        )
        for rental in rentals
    ]
    head = ["ID", "SERVICE", "STATUS", "NUMBER", "CODE", "PRICE", "ORDERED"]
    _print(options, [rental.data for rental in rentals], table(head, rows))
    return 0


def _balance(options: argparse.Namespace) -> int:
    desk = Desk()
    tokens, budgets = desk.tokens(), desk.me().get("budget", [])
    rows = [
        (token.get("name"), dong(token.get("balance")), _minute(token.get("balance_at")), token.get("hold"))
        for token in tokens
    ]
    text = table(["TOKEN", "BALANCE", "READ", "ON HOLD"], rows)
    if budgets:
        lines = [
            (budget["label"], *(_amount(budget["unit"], budget[part]) for part in ("limit", "left")))
            for budget in budgets
        ]
        text += "\n\n" + table(["BUDGET", "LIMIT", "LEFT"], lines)
    _print(options, {"tokens": tokens, "budget": budgets}, text)
    return 0


def _mcp(_options: argparse.Namespace) -> int:
    try:
        from . import mcp_server
    except ModuleNotFoundError as error:
        raise ValueError(f"MCP needs Python 3.10 or later and: pip install 'thuesim-desk[mcp]' ({error})") from None
    mcp_server.serve(Desk())
    return 0


@contextlib.contextmanager
def _finish_first() -> Iterator[Callable[[], bool]]:
    """Hold the first Ctrl-C back until the order is answered, so that its id is known. The second one ends at once.

    Gives a function that says whether Ctrl-C was pressed.
    """
    pressed = False

    def hold_back(_number: int, _frame: FrameType | None) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True
        _say("\nOne moment: the order is on its way. Ctrl-C again ends at once; then look at `thuesim-desk list`.")

    before = signal.signal(signal.SIGINT, hold_back)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)


def _print(options: argparse.Namespace, data: object, text: str) -> None:
    print(json.dumps(data, ensure_ascii=False) if options.json else text)


def _say(text: str) -> None:
    """Tell a person: results alone go to standard output."""
    print(text, file=sys.stderr, flush=True)


def _minute(time_text: str | None) -> str:
    """Write a time of the desk in this machine's zone: `2026-11-26 21:00`."""
    if not time_text:
        return ""
    return datetime.fromisoformat(time_text.replace("Z", "+00:00")).astimezone().strftime("%Y-%m-%d %H:%M")


def _amount(unit: str, amount: int) -> str:
    return dong(amount) if unit == "dong" else str(amount)


def _seconds(value: object) -> str:
    return f"{value:.0f} s" if isinstance(value, (int, float)) else ""


def _share(value: object) -> str:
    return f"{value:.0%}" if isinstance(value, (int, float)) else ""
