"""The manifest, the service worker and the offline page: in both languages, for everybody, about nobody."""

import re

import pytest
from django.conf import settings
from django.contrib.staticfiles import finders
from django.test import Client

from accounts.models import User
from pages.views.installable import OFFLINE_FILES
from rentals.tests.factories import make_person, make_team

each_language = pytest.mark.parametrize(
    ("language", "sentence"), [("en", "The desk cannot be reached"), ("vi", "Không kết nối được tới hệ thống")]
)
ADDRESSES = ("/manifest.webmanifest", "/service-worker.js", "/offline/")


@pytest.fixture
def linh(db: None) -> User:
    return make_person(make_team("Support"), username="linh")


@pytest.mark.parametrize(("language", "history"), [("en", "History"), ("vi", "Lịch sử")])
def test_the_manifest_names_the_desk_and_icons_that_are_there(client: Client, language: str, history: str) -> None:
    response = client.get("/manifest.webmanifest", {"language": language})
    assert response["Content-Type"] == "application/manifest+json"
    manifest = response.json()
    assert (manifest["lang"], manifest["start_url"], manifest["scope"], manifest["id"]) == (language, "/", "/", "/")
    assert manifest["display"] == "standalone"
    assert [shortcut["name"] for shortcut in manifest["shortcuts"]] == [history]
    sizes = {(icon["sizes"], icon.get("purpose", "any")) for icon in manifest["icons"]}
    assert sizes == {("192x192", "any"), ("512x512", "any"), ("512x512", "maskable")}
    assert all(finders.find(icon["src"].removeprefix("/static/")) for icon in manifest["icons"])


def test_a_page_leads_to_both_in_its_own_language(client: Client) -> None:
    for language in ("en", "vi"):
        page = client.get("/accounts/login/", headers={"Accept-Language": language}).text
        assert f'<link rel="manifest" href="/manifest.webmanifest?language={language}">' in page
        assert f'data-service-worker="/service-worker.js?language={language}"' in page


@each_language
def test_the_service_worker_keeps_the_offline_page_and_its_files_alone(
    client: Client, language: str, sentence: str
) -> None:
    response = client.get("/service-worker.js", {"language": language})
    assert response["Content-Type"] == "text/javascript"
    kept = re.search(r"const KEPT = \[(.+)\];", response.text)
    assert kept is not None
    addresses = re.findall(r'"([^"]+)"', kept[1])
    assert addresses == [f"/offline/?language={language}", *(f"/static/{file}" for file in OFFLINE_FILES)]
    page = client.get(addresses[0]).text
    assert sentence in page
    drawn_with = re.findall(r'(?:href|src)="([^"#]+)', page)
    assert {address for address in drawn_with if address.startswith("/")} <= set(addresses)


def test_another_offline_page_is_another_service_worker(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    before = client.get("/service-worker.js").text
    assert before == client.get("/service-worker.js").text
    monkeypatch.setattr("pages.views.installable.render_to_string", lambda name, *context: f"{name} {context}")
    assert re.findall(r"'version': '(\w+)'", client.get("/service-worker.js").text) != re.findall(
        r'"offline-(\w+)"', before
    )


@pytest.mark.parametrize("address", ADDRESSES)
def test_they_are_the_same_for_everybody_and_set_no_cookie(client: Client, linh: User, address: str) -> None:
    visitors = client.get(address, {"language": "en"})
    client.force_login(linh)
    theirs = client.get(address, {"language": "en"}, headers={"Accept-Language": "vi"})
    assert visitors.content == theirs.content
    assert "linh" not in theirs.text
    assert "Support" not in theirs.text
    assert not theirs.cookies


@pytest.mark.parametrize("address", ADDRESSES)
def test_an_unknown_language_is_the_desks_own(client: Client, address: str) -> None:
    own = client.get(address, {"language": settings.LANGUAGE_CODE})
    assert client.get(address, {"language": "xx"}).content == own.content
