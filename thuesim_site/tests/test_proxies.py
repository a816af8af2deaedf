"""The files of `docs/proxies`: nginx runs with its own, the others are read."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from pytest_django import Settings

from bench.proxies.programs import SNIPPETS, Place, nginx, nginx_below, running
from lib.network import probes, public_url
from lib.network.public_url import Finding, examine
from thuesim_site.serving.connections import client_of
from thuesim_site.serving.probe_responses import Probes
from thuesim_site.serving.proxies import behind_proxies
from thuesim_site.testing import free_port
from thuesim_site.testing_tls import Authority
from thuesim_site.tests.test_public_url import served

DOCUMENTS = (SNIPPETS.parent / "proxies.md", SNIPPETS.parent / "proxies.vi.md")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Iterator[None]:
    monkeypatch.setattr(probes, "SECOND_EVENT_SECONDS", 0.1)
    monkeypatch.setattr(probes, "SILENT_SECONDS", 0.2)
    for name in ("LATE_SECONDS", "CONNECT_SECONDS", "ANSWER_SECONDS"):  # a busy machine is no fault of nginx
        monkeypatch.setattr(public_url, name, 60)
    settings.PROXIES = ["127.0.0.1"]
    client_of.cache_clear()
    yield
    client_of.cache_clear()


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    folder = tmp_path / "proxy"
    folder.mkdir()
    return Place(folder, free_port(), free_port(), authority.issue("localhost"), free_port())


def found(command: list[str], place: Place, path: str) -> list[Finding]:
    with served(behind_proxies(Probes()), port=place.desk_port), running(command, place):
        return examine(f"https://localhost:{place.port}{path}")


@pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is no part of ./test quick")
@pytest.mark.parametrize("strips", [None, False, True])
def test_the_desk_finds_nothing_wrong_with_nginx(place: Place, settings: Settings, strips: bool | None) -> None:
    if strips is None:
        assert found(nginx(place), place, "") == []
    else:
        settings.FORCE_SCRIPT_NAME = "/desk"
        assert found(nginx_below(place, strips=strips), place, "/desk") == []


def test_the_files_of_traefik_and_cloudflared_are_yaml_that_leads_to_the_desk() -> None:
    static, dynamic, tunnel = (
        yaml.safe_load((SNIPPETS / name).read_text())
        for name in ("traefik.yaml", "traefik-desk.yaml", "cloudflared.yaml")
    )
    entries: dict[str, Any] = static["entryPoints"]
    router = dynamic["http"]["routers"]["desk"]
    assert set(router["entryPoints"]) <= set(entries)
    assert set(router["middlewares"]) <= set(dynamic["http"]["middlewares"])
    [server] = dynamic["http"]["services"][router["service"]]["loadBalancer"]["servers"]
    assert server["url"] == tunnel["ingress"][0]["service"] == "http://127.0.0.1:8000"
    assert "trustedIPs" not in str(entries)


@pytest.mark.parametrize("document", DOCUMENTS, ids=[document.name for document in DOCUMENTS])
def test_the_documents_name_every_file_and_no_other(document: Path) -> None:
    assert set(re.findall(r"\]\(proxies/([^)]+)\)", document.read_text())) == {path.name for path in SNIPPETS.iterdir()}
