"""The options and the help text."""

import argparse
from pathlib import Path

import pytest

from sandbox.catalog import demo_token
from sandbox.command_line import DESCRIPTION, EPILOG, add_arguments, build
from sandbox.faults import KINDS
from sandbox.tests.conftest import Process


def options(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=DESCRIPTION)
    add_arguments(parser)
    return parser.parse_args(words)


def test_help_lists_every_fault_with_its_sentence() -> None:
    for kind in KINDS.values():
        assert kind.name in EPILOG
        assert kind.sentence in EPILOG


def test_options_reach_the_sandbox() -> None:
    words = "--token 9-canary --token 8-other --gap 0.5 --message-after 1-2 --balance 7 --fault slow=0.5:20"
    sandbox = build(options(*words.split(), "--fault-only", "take", "--callback-url", "http://127.0.0.1:9/"))
    assert sandbox.token == "9-canary"
    assert sandbox.books("8-other")["balance"] == 7
    assert sandbox.books("9-canary")["callback_url"] == "http://127.0.0.1:9/"
    assert sandbox.rules.settings.message_after == (1.0, 2.0)
    assert sandbox.rules.settings.gap == 0.5
    (fault,) = sandbox.rules.faults.active()
    assert (fault["name"], fault["probability"], fault["endpoint"], fault["value"]) == ("slow", 0.5, "take", 20.0)


def test_message_after_can_be_never() -> None:
    assert build(options("--message-after", "never")).rules.settings.message_after is None


def test_an_unknown_fault_is_refused() -> None:
    with pytest.raises(ValueError, match="there is no fault 'nonsense'"):
        build(options("--fault", "nonsense"))


@pytest.mark.parametrize(("words", "is_printed"), [([], False), (["--show-token"], True)])
def test_the_token_is_printed_only_with_show_token(state: Path, words: list[str], is_printed: bool) -> None:
    process = Process(state, *words)
    process.end()
    assert demo_token(1)[-4:] in process.line
    assert (demo_token(1) in process.line) == is_printed
