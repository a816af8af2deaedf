"""What machines run with, and in what they differ."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone, translation
from pytest_django import Settings

from lib.files.buckets import parse_bucket
from rentals.jobs.upkeep import machines
from rentals.models import Machine
from thuesim_site.testing import RedisServer

KEYS = "first second"


def machine(
    name: str, *, version: str = "1.0", files: str = "web1 web2 worker", minutes: float = 60, **changed: str
) -> Machine:
    """One of three that are alike, but for what `changed` says. Its key is its name."""
    values = {"SECRET_KEY": "s", "DESK_SECRET_KEYS": KEYS, "THUESIM_RENT_GAP": "5", **changed}
    return Machine(
        key=name,
        name=name,
        roles="web",
        version=version,
        settings=values,
        files=files.split(),
        started_at=timezone.now() - timedelta(minutes=minutes),
    )


def found(*all_machines: Machine, **options: Any) -> dict[str, tuple[str, ...]]:
    return {each.setting: each.machines for each in machines.differences(all_machines, **options)}


WEB1, WEB2 = machine("web1"), machine("web2")


@pytest.mark.parametrize(
    ("worker", "expected"),
    [
        ({}, {}),
        ({"SECRET_KEY": "another"}, {"SECRET_KEY": ("worker (web)",)}),
        ({"THUESIM_RENT_GAP": "4"}, {"THUESIM_RENT_GAP": ("worker (web)",)}),
        ({"version": "1.1", "SECRET_KEY": "another"}, {"version": ("worker (web)",)}),
        ({"files": "worker"}, {"DESK_FILES_DIR": ("worker (web)",)}),
        ({"files": ""}, {}),  # its folder cannot be read: the check of the storage says so
        ({"files": "web1 web2 worker gone"}, {}),  # a file of a machine that no longer runs
        ({"NEW_SETTING": "of a later version"}, {}),
        # A rotation of keys: the next one goes to the end of the list on each machine, then to its beginning.
        ({"DESK_SECRET_KEYS": "first second third"}, {}),
        ({"DESK_SECRET_KEYS": "second first"}, {}),
        ({"DESK_SECRET_KEYS": "third first second"}, {"DESK_SECRET_KEYS": ("web1 (web)", "web2 (web)")}),
        ({"DESK_SECRET_KEYS": "second"}, {"DESK_SECRET_KEYS": ("worker (web)",)}),
        ({"DESK_SECRET_KEYS": "of its own"}, {"DESK_SECRET_KEYS": ("worker (web)",)}),
    ],
)
def test_a_machine_that_is_not_like_the_others_is_named(worker: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found(WEB1, WEB2, machine("worker", **worker)) == expected


def test_of_two_machines_the_one_that_began_later_is_named() -> None:
    assert found(machine("web1", files="web1"), machine("web2", files="web2")) == {"DESK_FILES_DIR": ("web2 (web)",)}


def test_one_that_only_asks_has_left_no_file_and_must_see_those_of_the_others() -> None:
    others = [machine("web1", files="web1 web2"), machine("web2", files="web1 web2")]
    for seen, expected in (("web1 web2", {}), ("", {"DESK_FILES_DIR": ("this machine",)})):
        asking = machine("worker", files=seen)
        assert found(*others, asking, asking=asking) == expected


def test_the_file_of_a_machine_that_has_just_begun_is_not_missed() -> None:
    looked_before, stopped = machine("web1", files="web1"), machine("web2", files="web1 web2")
    stopped.seen_at = timezone.now() - timedelta(seconds=60)
    begun = machine("worker", files="web1 web2 worker", minutes=0.5)
    assert found(looked_before, begun) == {}
    asking = machine("asking", files="web1 web2 worker")
    assert found(machine("web1", files="web1 web2"), stopped, begun, asking, asking=asking) == {}


@pytest.mark.parametrize(("age", "expected"), [(200, {"REDIS_URL": ("worker (web)",)}), (30, {})])
def test_a_machine_with_another_redis_is_named_but_not_because_it_was_emptied(age: int, expected: object) -> None:
    marks = {name: f"{name}@{timezone.now().timestamp() - seconds:.0f}" for name, seconds in (("a", 900), ("b", age))}
    shared = [machine(name, REDIS_URL=marks["a"]) for name in ("web1", "web2")]
    assert found(*shared, machine("worker", REDIS_URL=marks["b"]), machine("away")) == expected


@pytest.mark.django_db
def test_machines_on_one_redis_have_one_mark(real_redis: RedisServer, settings: Settings, tmp_path: Path) -> None:
    settings.FILES_DIR = tmp_path
    marks = [machines.this_machine().settings["REDIS_URL"] for _ in range(2)]
    real_redis.flush()
    marks.append(machines.this_machine().settings["REDIS_URL"])
    assert marks[0] == marks[1] != marks[2]
    settings.REDIS_URL = "unix:///nowhere/redis.sock?db=0"
    assert "REDIS_URL" not in machines.this_machine().settings


def test_machines_of_one_name_are_told_apart() -> None:
    first, second = machine("aaaa1"), machine("bbbb2", SECRET_KEY="another")
    second.name = first.name
    assert found(first, second)["SECRET_KEY"] == ("aaaa1 (web) [bbbb]",)


@pytest.mark.parametrize(("minutes", "expected"), [(9, []), (11, ["SECRET_KEY"])])
def test_while_machines_are_started_anew_one_after_the_other_nothing_is_said(minutes: int, expected: list[str]) -> None:
    started = machine("worker", SECRET_KEY="another", minutes=minutes)
    assert [each.setting for each in machines.settled_differences([WEB1, WEB2, started])] == expected
    assert machines.settled_differences([]) == []


@pytest.mark.parametrize("language", ["en", "vi"])
def test_the_sentence_says_which_machine_differs_in_what_and_what_to_do(language: str) -> None:
    with translation.override(language):
        for setting in ("version", "SECRET_KEY", "DESK_SECRET_KEYS", "DESK_FILES_DIR", "REDIS_URL", "THUESIM_RENT_GAP"):
            sentence = machines.Difference(setting, ("web2 (web)", "worker")).sentence
            assert sentence.startswith("web2 (web), worker")
            assert setting == "version" or setting in sentence
            assert "%" not in sentence


@pytest.mark.django_db
def test_a_machine_writes_what_it_runs_with_and_nothing_that_is_secret(settings: Settings, tmp_path: Path) -> None:
    settings.RUN = {"version": "1.2", "roles": "web beat", "began": 1_700_000_000.0}
    settings.FILES_DIR = tmp_path
    machines.note()
    machines.note()
    [row] = machines.running()
    assert (row.version, row.roles, row.files) == ("1.2", "web beat", [row.key])
    whole = repr(list(Machine.objects.values_list()))
    assert settings.SECRET_KEY not in whole
    assert not any(key in whole for key in settings.TOKEN_KEYS)
    settings.SECRET_KEY, settings.FILES_DIR = "another secret key than before", tmp_path / "elsewhere"
    settings.RUN = {"version": "1.2", "roles": "worker", "began": 1_700_000_100.0}
    machines.note()
    both = machines.running()
    assert {each.setting for each in machines.settled_differences(both)} == {"SECRET_KEY", "DESK_FILES_DIR"}


@pytest.mark.django_db
def test_a_machine_that_is_silent_is_compared_no_longer() -> None:
    for name, seconds in (("web1", 5), ("web2", 100), ("web3", 90_000)):
        old = machine(name)
        old.seen_at = timezone.now() - timedelta(seconds=seconds)
        old.save()
    assert [each.name for each in machines.running()] == ["web1"]
    machines.note()
    assert set(Machine.objects.values_list("name", flat=True)) >= {"web1", "web2"}
    assert not Machine.objects.filter(name="web3").exists()


@pytest.mark.django_db
def test_with_a_bucket_its_address_is_compared_without_the_keys(settings: Settings, tmp_path: Path) -> None:
    settings.FILES_DIR = tmp_path
    addresses = ["s3://a:hunter2@s3.example/desk", "s3://b:hunter3@s3.example/desk", "s3://a:hunter2@s3.example/other"]
    seen = []
    for address in addresses:
        settings.FILES_BUCKET = parse_bucket(address)
        here = machines.this_machine()
        seen.append(here.settings["DESK_FILES_URL"])
        assert here.files == []
    assert seen[0] == seen[1] != seen[2]
