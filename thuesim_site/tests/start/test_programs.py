from dataclasses import replace
from pathlib import Path

import pytest

from thuesim_site.start.checks import Role, Setup
from thuesim_site.start.programs import programs
from thuesim_site.start.supervise import Supervision


@pytest.fixture
def setup(tmp_path: Path) -> Setup:
    return Setup(
        roles=frozenset(Role),
        host="127.0.0.1",
        port=8000,
        data_dir=tmp_path,
        public_url="",
        log_level="INFO",
        redis_server=Path("/usr/bin/redis-server"),
        web_processes=1,
        workers=2,
        demo=True,
        sandbox_port=8001,
        rent_gap=5.0,
        storage_problem="",
    )


def test_everything_runs_in_demo_mode(setup: Setup) -> None:
    names = [program.name for program in programs(setup)]
    assert names == ["redis", "sandbox", "web", "worker-1", "worker-2", "slow", "beat"]


def test_what_stands_elsewhere_is_not_started(setup: Setup) -> None:
    elsewhere = replace(setup, redis_server=None, demo=False, workers=1)
    assert [program.name for program in programs(elsewhere)] == ["web", "worker-1", "slow", "beat"]
    assert not any(program.ground for program in programs(elsewhere))


def test_a_machine_runs_what_its_roles_name(setup: Setup) -> None:
    elsewhere = replace(setup, redis_server=None, demo=False, web_processes=3)
    for roles, names in (
        ({Role.WEB}, ["web-1", "web-2", "web-3"]),
        ({Role.WORKER, Role.BEAT}, ["worker-1", "worker-2", "beat"]),
        ({Role.SLOW}, ["slow"]),
    ):
        assert [program.name for program in programs(replace(elsewhere, roles=frozenset(roles)))] == names


def test_a_machine_without_pages_says_which_key_it_lacks(setup: Setup, capfd: pytest.CaptureFixture[str]) -> None:
    workers = replace(setup, redis_server=None, demo=False, roles=frozenset({Role.WORKER}))
    supervision = Supervision(workers, {}, None, [])
    supervision.about = {"key_missing": "A key is missing: DESK_SECRET_KEYS does not decrypt token 1."}
    assert supervision._welcome_once()
    assert capfd.readouterr().out.splitlines() == [
        "Running: worker-1, worker-2. Ctrl-C stops them.",
        "A key is missing: DESK_SECRET_KEYS does not decrypt token 1.",
    ]


def test_what_others_stand_on_is_named_as_such(setup: Setup) -> None:
    assert [program.name for program in programs(setup) if program.ground] == ["redis", "sandbox"]


def test_no_secret_is_on_a_command_line(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://desk:hunter2@127.0.0.1/desk")
    assert "hunter2" not in " ".join(part for program in programs(setup) for part in program.command)


def test_every_queue_has_a_worker(setup: Setup) -> None:
    workers = [program.command for program in programs(setup) if "thuesim_site.start.roles.worker" in program.command]
    queues = {queue for command in workers for queue in command[4].split(",")}
    assert queues == {"ticks", "renting", "watching", "slow", "outgoing"}


def test_a_worker_has_the_time_to_hear_what_thuesim_answers(setup: Setup) -> None:
    patient = {program.name: program.stop_seconds for program in programs(replace(setup, thuesim_timeout=60.0))}
    assert min(patient["worker-1"], patient["worker-2"], patient["slow"]) > 60
