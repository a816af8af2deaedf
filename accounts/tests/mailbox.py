"""The e-mails that a test had sent."""

from django.core import mail as django_mail
from django.core.mail import EmailMessage

from accounts import mail


def sent() -> list[EmailMessage]:
    """Wait until the sender has nothing left to do; return what it sent."""
    mail.sender.submit(lambda: None).result(60)
    return django_mail.outbox
