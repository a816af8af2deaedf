"""The sandbox from a command line: its options, and serving until it is told to stop."""

import argparse
import signal
import threading
from pathlib import Path

from sandbox.faults import ENDPOINTS, describe, parse
from sandbox.payloads import ENVELOPES
from sandbox.server import Sandbox

DESCRIPTION = "Run a stand-in ThueSim: numbers, messages, money and faults, without the real service."
EPILOG = f"""\
A fault is given as NAME, NAME=PROBABILITY, NAME:VALUE or NAME=PROBABILITY:VALUE; its usual value stands in brackets.
Faults can also be switched while it runs: POST /_sandbox/faults. GET /_sandbox/ shows the tokens and settings.

faults:
{describe()}
"""


def _span(text: str) -> tuple[float, float] | None:
    if text == "never":
        return None
    low, _, high = text.partition("-")
    return float(low), float(high or low)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Put the sandbox's options on a parser."""
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=8900, help="port to listen on, 0 for any (%(default)s)")
    parser.add_argument("--state", type=Path, help="SQLite file that keeps everything over restarts and kills")
    parser.add_argument(
        "--seed", type=int, default=1, help="makes numbers, messages and faults repeatable (%(default)s)"
    )
    parser.add_argument("--token", action="append", default=[], help="accept this API token; may be repeated")
    parser.add_argument("--show-token", action="store_true", help="print the first token in full")
    parser.add_argument("--any-token", action="store_true", help="accept every token, with books of its own")
    parser.add_argument("--balance", type=int, default=500_000, help="first balance of a token, in đồng (%(default)s)")
    parser.add_argument("--gap", type=float, default=5.0, help="seconds between number-taking calls (%(default)s)")
    parser.add_argument("--waiting-limit", type=int, default=10, help="numbers that may wait, per token (%(default)s)")
    parser.add_argument(
        "--message-after", type=_span, default=(6.0, 25.0), metavar="MIN-MAX|never", help="seconds to a message (6-25)"
    )
    parser.add_argument("--refund-after", type=float, default=60.0, help="seconds from expiry to refund (%(default)s)")
    parser.add_argument(
        "--lifetime", type=float, help="seconds until a rental expires, in place of each service's Time"
    )
    parser.add_argument("--history-limit", type=int, default=500, help="rows of history by default (%(default)s)")
    parser.add_argument("--envelope", choices=ENVELOPES, default="page", help="shape of the answers (%(default)s)")
    parser.add_argument("--callback-url", help="where callbacks of the given tokens go")
    parser.add_argument(
        "--fault", action="append", default=[], metavar="NAME[=P][:VALUE]", help="switch a fault on; may be repeated"
    )
    parser.add_argument("--fault-only", choices=(*ENDPOINTS, "take"), help="let the faults strike this endpoint alone")


def build(options: argparse.Namespace) -> Sandbox:
    """The sandbox that the options describe. Raises ValueError for a fault that is not known."""
    sandbox = Sandbox(
        seed=options.seed,
        gap=options.gap,
        waiting_limit=options.waiting_limit,
        message_after=options.message_after,
        refund_after=options.refund_after,
        balance=options.balance,
        envelope=options.envelope,
        any_token=options.any_token,
        lifetime=options.lifetime,
        history_limit=options.history_limit,
        state=options.state,
        token=options.token[0] if options.token else None,
        host=options.host,
        port=options.port,
    )
    for token in options.token or [sandbox.token]:
        sandbox.add_token(token=token, callback_url=options.callback_url)
    for text in options.fault:
        name, probability, value = parse(text)
        sandbox.set_fault(name, probability, options.fault_only, value=value)
    return sandbox


def serve(options: argparse.Namespace) -> None:
    """Run until SIGTERM or SIGINT. Raises ValueError for a wrong fault, OSError where it cannot listen."""
    sandbox = build(options)
    ended = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.set())
    with sandbox:
        token = sandbox.token if options.show_token else f"…{sandbox.token[-4:]}"
        print(f"ThueSim sandbox at {sandbox.url}/ (token {token})", flush=True)
        ended.wait()


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
