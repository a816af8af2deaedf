"""The sandbox from a command line: its options, and serving until a signal stops it."""

import argparse
import signal
import threading
from dataclasses import asdict, fields
from pathlib import Path

from sandbox.faults import ENDPOINTS, describe, parse
from sandbox.payloads import ENVELOPES
from sandbox.server import Sandbox
from sandbox.settings import Settings

DESCRIPTION = "Run a stand-in for ThueSim: numbers, messages, money and faults, without the real service."
EPILOG = f"""\
A fault is given as NAME, NAME=PROBABILITY, NAME:VALUE or NAME=PROBABILITY:VALUE; its default value is in brackets.
Faults can also be switched while the sandbox runs: POST /_sandbox/faults. GET /_sandbox/ shows tokens and settings.

faults:
{describe()}
"""


def _range(text: str) -> tuple[float, float] | None:
    if text == "never":
        return None
    low, _, high = text.partition("-")
    return float(low), float(high or low)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the sandbox's options to a parser; the defaults are those of `Settings`."""
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    add("--port", type=int, default=8900, help="port to listen on, 0 for any (%(default)s)")
    add("--state", type=Path, help="SQLite file that keeps everything over restarts and kills")
    add("--seed", type=int, help="makes numbers, messages and faults repeatable (%(default)s)")
    add("--token", action="append", default=[], help="accept this API token; may be repeated")
    add("--show-token", action="store_true", help="print the first token in full")
    add("--any-token", action="store_true", help="accept every token; each gets its own balance")
    add("--balance", type=int, help="first balance of a token, in đồng (%(default)s)")
    add("--gap", type=float, help="seconds between number-taking calls (%(default)s)")
    add("--waiting-limit", type=int, help="numbers that may wait, per token (%(default)s)")
    add("--message-after", type=_range, metavar="MIN-MAX|never", help="seconds to a message (6-25)")
    add("--refund-after", type=float, help="seconds from expiry to refund (%(default)s)")
    add("--lifetime", type=float, help="seconds until a rental expires, in place of each service's Time")
    add("--history-limit", type=int, help="rows of history by default (%(default)s)")
    add("--envelope", choices=ENVELOPES, help="envelope of the answers (%(default)s)")
    add("--callback-url", help="where callbacks of the given tokens go")
    add("--fault", action="append", default=[], metavar="NAME[=P][:VALUE]", help="switch a fault on; may be repeated")
    add("--fault-only", choices=(*ENDPOINTS, "take"), help="inject the faults into this endpoint only")
    parser.set_defaults(**asdict(Settings()))


def build(options: argparse.Namespace) -> Sandbox:
    """The sandbox that the options describe. Raises ValueError for an unknown fault."""
    settings = {field.name: getattr(options, field.name) for field in fields(Settings)}
    first_token = options.token[0] if options.token else None
    sandbox = Sandbox(**settings, state=options.state, token=first_token, host=options.host, port=options.port)
    for token in options.token or [sandbox.token]:
        sandbox.add_token(token=token, callback_url=options.callback_url)
    for text in options.fault:
        name, probability, value = parse(text)
        sandbox.set_fault(name, probability, options.fault_only, value=value)
    return sandbox


def serve(options: argparse.Namespace) -> None:
    """Run until SIGTERM or SIGINT. Raises ValueError for an unknown fault, OSError where it cannot listen."""
    sandbox = build(options)
    stopped = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopped.set())
    with sandbox:
        token = sandbox.token if options.show_token else f"…{sandbox.token[-4:]}"
        print(f"ThueSim sandbox at {sandbox.url}/ (token {token})", flush=True)
        stopped.wait()


def main() -> None:
    """`python -m sandbox`: the same without Django."""
    parser = argparse.ArgumentParser(
        "sandbox", description=DESCRIPTION, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_arguments(parser)
    try:
        serve(parser.parse_args())
    except (OSError, ValueError) as error:
        parser.error(str(error))
