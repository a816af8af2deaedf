"""The sandbox's own page."""

from urllib.parse import urlencode

from sandbox.server import Sandbox
from sandbox.tests.conftest import fetch, rent


def submit(sandbox: Sandbox, path: str, **form: str) -> str:
    answer = fetch(f"{sandbox.url}{path}", "POST", urlencode(form).encode())
    assert answer.status == 303
    return answer.headers["location"]


def test_the_page_says_what_to_do_while_there_is_no_rental(sandbox: Sandbox) -> None:
    page = fetch(f"{sandbox.url}/")
    assert page.headers["content-type"].startswith("text/html")
    assert "No number has been rented yet" in page.text


def test_the_form_sends_an_sms(sandbox: Sandbox) -> None:
    rental = rent(sandbox)
    assert rental["ID"] in fetch(f"{sandbox.url}/").text
    assert submit(sandbox, "/send", id=rental["ID"], text="Your code is 059809") == "/?said=sent"
    recorded = sandbox.books()["rentals"][0]["messages"][0]
    assert (recorded["code"], recorded["call"]) == ("059809", False)
    assert "The message was sent." in fetch(f"{sandbox.url}/?said=sent").text


def test_the_forms_send_a_voice_call_and_expire_a_rental(sandbox: Sandbox) -> None:
    first, second = rent(sandbox), rent(sandbox)
    submit(sandbox, "/send", id=first["ID"], text="G-195829", call="on")
    submit(sandbox, "/expire", id=second["ID"])
    call, expired = sandbox.books()["rentals"]
    assert (call["messages"][0]["call"], call["messages"][0]["code"]) == (True, "G-195829")
    assert expired["status"] == 2


def test_an_empty_message_and_an_unknown_rental_are_refused_with_a_notice(sandbox: Sandbox) -> None:
    rental = rent(sandbox)
    assert submit(sandbox, "/send", id=rental["ID"], text=" ") == "/?said=empty"
    assert submit(sandbox, "/send", id="1", text="x") == "/?said=missing"
    for notice, text in (("empty", "Write a message first."), ("missing", "This rental no longer exists.")):
        assert text in fetch(f"{sandbox.url}/?said={notice}").text


def test_the_page_escapes_texts_and_has_no_token(sandbox: Sandbox) -> None:
    rental = rent(sandbox)
    sandbox.deliver(rental["ID"], "<script>alert(1)</script>")
    page = fetch(f"{sandbox.url}/?said=<b>").text
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert sandbox.token not in page


def test_another_sites_form_is_refused(sandbox: Sandbox) -> None:
    rental = rent(sandbox)
    body = urlencode({"id": rental["ID"], "text": "1234"}).encode()
    assert fetch(f"{sandbox.url}/send", "POST", body, origin="http://evil.example").status == 403
    assert sandbox.books()["rentals"][0]["messages"] == []
