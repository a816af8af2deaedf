import configparser
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from thuesim_site.start.checks import Setup
from thuesim_site.start.supervisord import configuration, programs, write_configuration


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(
        host="127.0.0.1",
        port=8000,
        data_dir=tmp_path / "100% mine",
        public_url="",
        log_level="INFO",
        redis_server=Path("/usr/bin/redis-server"),
        workers=2,
        demo=True,
        sandbox_port=8001,
        rent_gap=5.0,
    )


def written(setup: Setup) -> configparser.RawConfigParser:
    setup.data_dir.mkdir(exist_ok=True)
    parser = configparser.RawConfigParser(inline_comment_prefixes=(";", "#"))  # as supervisord reads it
    parser.read(write_configuration(setup))
    return parser


def test_everything_runs_in_demo_mode(setup: Setup) -> None:
    names = [program.name for program in programs(setup)]
    assert names == ["redis", "sandbox", "web", "worker-1", "worker-2", "slow", "beat"]


def test_what_stands_elsewhere_is_not_started(setup: Setup) -> None:
    elsewhere = replace(setup, redis_server=None, demo=False, workers=1)
    assert [program.name for program in programs(elsewhere)] == ["web", "worker-1", "slow", "beat"]
    assert "group:ground" not in written(elsewhere)


def test_each_process_comes_back_and_none_outlives_its_stop(setup: Setup) -> None:
    parser = written(setup)
    sections = [parser[name] for name in parser.sections() if name.startswith("program:")]
    assert len(sections) == 7
    for section in sections:
        assert (section["autorestart"], section["stopasgroup"], section["killasgroup"]) == ("true", "true", "true")
        assert section["stopwaitsecs"] == "8"
        assert int(section["startretries"]) > 100_000


def test_what_others_stand_on_stops_last(setup: Setup) -> None:
    parser = written(setup)
    assert parser["group:ground"]["programs"] == "redis,sandbox"
    assert int(parser["group:ground"]["priority"]) < int(parser["group:desk"]["priority"])


def test_paths_with_blanks_and_percent_signs_survive(setup: Setup) -> None:
    # supervisord expands %(…)s and %% before it splits the command as a shell would.
    command = shlex.split(written(setup)["program:sandbox"]["command"] % ())
    assert command[command.index("--state") + 1] == str(setup.data_dir / "sandbox.sqlite3")


def test_no_secret_is_on_a_command_line_or_in_the_file(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://desk:hunter2@127.0.0.1/desk")
    assert "hunter2" not in configuration(setup)


def test_every_queue_has_a_worker(setup: Setup) -> None:
    queues = {
        queue
        for program in programs(setup)
        if "-Q" in program.command
        for queue in program.command[program.command.index("-Q") + 1].split(",")
    }
    assert queues == {"ticks", "renting", "watching", "slow", "outgoing"}
