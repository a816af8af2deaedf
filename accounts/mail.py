"""Send e-mail in the background: neither the time nor the result of a request tells whether one was sent."""

import logging
from concurrent.futures import ThreadPoolExecutor
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import EmailMessage

# The backends that deliver nothing; the second stands in where no EMAIL_URL is set.
_UNDELIVERED = ("django.core.mail.backends.console.EmailBackend", "django.core.mail.backends.dummy.EmailBackend")

logger = logging.getLogger(__name__)
sender = ThreadPoolExecutor(1, "mail")  # one thread: messages leave in the order they came


def is_set_up() -> bool:
    """Whether e-mail is configured."""
    return settings.EMAIL_BACKEND not in _UNDELIVERED


def sends_links() -> bool:
    """Whether e-mails may have links to the desk: only where it knows its own address, `DESK_PUBLIC_URL`.

    The address in a request is its sender's claim: a link by it would take the account to a port of the sender's choice.
    """
    return is_set_up() and bool(settings.PUBLIC_URL)


def send(message: EmailMessage) -> None:
    """Send an e-mail on the thread of `sender` and return at once.

    A slow or broken mail server neither holds up the page nor tells, by its delay or its error, that the address is of an
    account.
    """
    sender.submit(_send, message)


def _send(message: EmailMessage) -> None:
    try:
        message.send()
    except (OSError, SMTPException) as error:
        # The error's text may name the recipient.
        logger.error("An e-mail could not be sent: %s", type(error).__name__)
