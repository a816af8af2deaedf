"""A forgotten password: by e-mail where there is any, by hand where there is none, and no word about who has an account."""

import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from allauth.core import context
from django.core.mail import EmailMessage
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import translation
from pytest_django import Settings

from accounts.allauth_adapters import ClosedSignup
from accounts.models import AuditRecord, Role, User
from accounts.tests.mailbox import sent
from rentals.tests.factories import make_person, make_team

pytestmark = pytest.mark.django_db
DUMMY = "django.core.mail.backends.dummy.EmailBackend"


@pytest.fixture(autouse=True)
def _own_address(settings: Settings) -> Iterator[None]:
    settings.PUBLIC_URL = "http://testserver"
    yield
    sent()  # so that no e-mail of this test arrives in the next one


@pytest.fixture
def linh(db: None) -> User:
    return make_person(make_team("Support"), username="linh", email="linh@example.com", language="en")


def ask(address: str) -> tuple[int, str, str]:
    """Ask for a link in a fresh browser. Returns what it sees: the status, where to, and the page there."""
    client = Client(headers={"accept-language": "en"})
    answer = client.post(reverse("account_reset_password"), {"email": address})
    page = client.get(answer["Location"]).content.decode() if answer.status_code == 302 else ""
    return answer.status_code, answer.headers.get("Location", ""), re.sub(r'(nonce|value)="[^"]+"', "", page)


def test_without_e_mail_the_page_says_who_helps_and_sends_nothing(linh: User, settings: Settings) -> None:
    settings.EMAIL_BACKEND = DUMMY
    client = Client(headers={"accept-language": "en"})
    for answer in (
        client.get(reverse("account_reset_password")),
        client.post(reverse("account_reset_password"), {"email": "linh@example.com"}),
        client.get(reverse("account_reset_password_done")),
    ):
        page = answer.content.decode()
        assert "Ask a manager of your team" in page
        assert 'name="email"' not in page
        assert "sent you" not in page
    client.force_login(linh)
    client.post(reverse("account_reauthenticate"), {"password": "secret-enough"})
    assert client.get(reverse("account_email")).status_code == 404


def test_the_sign_in_page_leads_there(linh: User) -> None:
    assert reverse("account_reset_password") in Client().get(reverse("account_login")).content.decode()


def test_the_link_in_the_e_mail_sets_a_new_password_once(linh: User) -> None:
    assert ask("Linh@Example.com")[0] == 302
    [message] = sent()
    assert message.to == ["linh@example.com"]
    assert message.subject == "A new password for ThueSim Desk"
    body = str(message.body)
    assert "the account linh" in body
    link = re.search(r"http://testserver(/\S+)", body)
    assert link is not None
    client = Client()
    where = client.get(link[1])["Location"]
    client.post(where, {"password1": "nine tall trees", "password2": "nine tall trees"})
    assert Client().login(username="linh", password="nine tall trees")
    assert b"id_password1" not in Client().get(link[1], follow=True).content
    assert AuditRecord.objects.filter(action="password_reset", person=linh).exists()


def test_an_e_mail_is_in_the_language_of_the_person(linh: User, monkeypatch: pytest.MonkeyPatch) -> None:
    languages: list[str | None] = []
    render = ClosedSignup.render_mail

    def render_mail(self: ClosedSignup, *args: Any) -> EmailMessage:
        languages.append(translation.get_language())
        message: EmailMessage = render(self, *args)
        return message

    monkeypatch.setattr(ClosedSignup, "render_mail", render_mail)
    User.objects.update(language="vi")
    ask("linh@example.com")
    assert languages == ["vi"]


def test_the_answer_is_the_same_whether_there_is_an_account_or_not(linh: User) -> None:
    known, unknown = ask("linh@example.com"), ask("nobody@example.com")
    assert known == unknown
    assert [message.to for message in sent()] == [["linh@example.com"]]


def test_a_deactivated_person_is_sent_nothing(linh: User) -> None:
    User.objects.update(is_active=False)
    assert ask("linh@example.com")[0] == 302
    assert sent() == []


def test_a_mail_server_that_fails_changes_nothing_on_the_page(
    linh: User, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(message: EmailMessage) -> int:
        raise ConnectionRefusedError("smtp.example.com")

    monkeypatch.setattr(EmailMessage, "send", refuse)
    assert ask("linh@example.com") == ask("nobody@example.com")
    assert sent() == []
    assert "ConnectionRefusedError" in caplog.text
    assert "linh" not in caplog.text


def test_an_e_mail_does_not_hold_up_the_request(linh: User, monkeypatch: pytest.MonkeyPatch) -> None:
    server_answers = threading.Event()
    answered: list[bool] = []
    monkeypatch.setattr(EmailMessage, "send", lambda message: answered.append(server_answers.wait(60)))
    assert ask("linh@example.com")[0] == 302
    server_answers.set()  # reached only where the request did not wait
    assert sent() == []
    assert answered == [True]


def test_links_name_the_address_from_outside_and_not_the_one_in_the_request(linh: User, settings: Settings) -> None:
    settings.PUBLIC_URL = "https://desk.example.com"
    settings.ALLOWED_HOSTS = ["*"]
    request = RequestFactory().get("/", headers={"host": "evil.example"})
    with context.request_context(request):
        link = ClosedSignup().get_reset_password_from_key_url("1-abc")
    assert link == f"https://desk.example.com{reverse('account_reset_password_from_key', args=['1', 'abc'])}"


def test_what_a_link_that_is_over_leads_to_works_without_e_mail_too(linh: User, settings: Settings) -> None:
    settings.EMAIL_BACKEND = DUMMY
    client = Client(headers={"accept-language": "en"})
    page = client.get(reverse("account_reset_password_from_key", args=["1", "wrong-link"])).content.decode()
    assert "This link no longer works" in page
    assert reverse("account_reset_password") in page


def test_an_admin_hands_a_link_to_somebody_without_e_mail(linh: User, settings: Settings) -> None:
    settings.EMAIL_BACKEND = DUMMY
    admin = make_person(linh.memberships.get().team, Role.MANAGER, username="root", is_staff=True)
    signed_in = Client()
    signed_in.force_login(admin)
    page = signed_in.post(reverse("person_password", args=[linh.pk])).content.decode()
    link = re.search(r"http://testserver(/accounts/password/reset/key/[^\"]+)", page)
    assert link is not None
    client = Client()
    where = client.get(link[1])["Location"]
    assert client.post(where, {"password1": "nine tall trees", "password2": "nine tall trees"}).status_code == 302
    assert Client().login(username="linh", password="nine tall trees")
