"""The alert rules: right by Prometheus's own tool, about figures that there are, each with what to do in both languages."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from django.conf import settings
from django.test import Client

from rentals.models import Heartbeat, JobName

DOCS = Path(settings.BASE_DIR) / "docs"
MONITORING = DOCS / "monitoring"
RULES = yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"][0]["rules"]


def promtool(*arguments: str) -> None:
    ran = subprocess.run(["promtool", *arguments], cwd=MONITORING, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_prometheus_reads_the_rules_and_they_do_what_their_tests_say() -> None:
    promtool("check", "rules", "alerts.yml")
    promtool("test", "rules", "alerts.test.yml")


@pytest.mark.parametrize("page", ["alarms.md", "alarms.vi.md"])
def test_each_alert_has_what_it_means_and_what_to_do(page: str) -> None:
    sections = re.split(r"^## ", (DOCS / page).read_text(), flags=re.MULTILINE)[1:]
    assert [section.partition("\n")[0] for section in sections] == [rule["alert"] for rule in RULES]
    assert all(len(section.strip().split("\n\n")) == 3 for section in sections)


@pytest.mark.django_db
def test_rules_and_dashboard_speak_of_figures_that_there_are(client: Client) -> None:
    answer = client.get("/metrics", REMOTE_ADDR="127.0.0.1").content.decode()
    figures = set(re.findall(r"^# TYPE (\S+)", answer, re.MULTILINE))
    panels = json.loads((MONITORING / "dashboard.json").read_text())["panels"]
    asked = [target["expr"] for panel in panels for target in panel["targets"]] + [rule["expr"] for rule in RULES]
    named = {name for expression in asked for name in re.findall(r"desk_\w+", expression)}
    assert named <= figures
    # Each figure is shown.
    shown = {
        name for panel in panels for target in panel["targets"] for name in re.findall(r"desk_\w+", target["expr"])
    }
    assert figures - shown == set()


def test_rules_speak_of_kinds_and_jobs_that_there_are() -> None:
    kinds = {kind for rule in RULES for kind in re.findall(r'kind="(\w+)"', rule["expr"])}
    jobs = {job for rule in RULES for job in re.findall(r'job="(\w+)"', rule["expr"])}
    assert kinds == set(Heartbeat.Kind)
    assert jobs <= set(JobName)
