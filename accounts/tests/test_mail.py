"""E-mail is sent beside the request, and an error of the mail server stays in the log."""

import threading

import pytest
from django.core.mail import EmailMessage
from pytest_django import Settings

from accounts import mail
from accounts.tests.mailbox import sent


@pytest.mark.parametrize(
    ("backend", "delivers"), [("smtp", True), ("locmem", True), ("console", False), ("dummy", False)]
)
def test_e_mail_is_configured_where_the_backend_delivers_it(settings: Settings, backend: str, delivers: bool) -> None:
    settings.EMAIL_BACKEND = f"django.core.mail.backends.{backend}.EmailBackend"
    assert mail.is_set_up() is delivers


def test_messages_are_sent_in_order() -> None:
    for number in range(3):
        mail.send(EmailMessage(f"Message {number}", to=["linh@example.com"]))
    assert [message.subject for message in sent()] == ["Message 0", "Message 1", "Message 2"]


def test_sending_does_not_wait_for_the_mail_server(monkeypatch: pytest.MonkeyPatch) -> None:
    server_answers = threading.Event()
    answered: list[bool] = []
    monkeypatch.setattr(EmailMessage, "send", lambda message: answered.append(server_answers.wait(60)))
    mail.send(EmailMessage("Slow", to=["linh@example.com"]))
    server_answers.set()  # reached only where `send` did not wait
    assert sent() == []
    assert answered == [True]


def test_an_error_is_logged_without_the_recipient_and_the_next_message_is_sent(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(message: EmailMessage) -> int:
        raise ConnectionRefusedError("linh@example.com at smtp.example.com")

    with monkeypatch.context() as patched:
        patched.setattr(EmailMessage, "send", refuse)
        mail.send(EmailMessage("Refused", to=["linh@example.com"]))
        assert sent() == []
    assert caplog.messages == ["An e-mail could not be sent: ConnectionRefusedError"]
    mail.send(EmailMessage("Next", to=["linh@example.com"]))
    assert [message.subject for message in sent()] == ["Next"]
