"""Whether the desk can send e-mail, and sending it so that nobody learns from the answer whether there was any."""

import logging
from concurrent.futures import ThreadPoolExecutor
from smtplib import SMTPException

from django.conf import settings
from django.core.mail import EmailMessage

# What stands in where no EMAIL_URL is set: a letter that nobody ever reads.
_NOWHERE = ("django.core.mail.backends.console.EmailBackend", "django.core.mail.backends.dummy.EmailBackend")

logger = logging.getLogger(__name__)
_post = ThreadPoolExecutor(1, "mail")


def is_set_up() -> bool:
    """Whether a letter reaches anybody."""
    return settings.EMAIL_BACKEND not in _NOWHERE


def send(letter: EmailMessage) -> None:
    """Send it in a moment, beside the request: a slow or broken mail server neither holds up the page nor tells, by
    its delay or its error, that there was somebody to write to."""
    _post.submit(_send, letter)


def _send(letter: EmailMessage) -> None:
    try:
        letter.send()
    except (OSError, SMTPException) as error:
        # Its text may name whom it is for.
        logger.error("An e-mail could not be sent: %s", type(error).__name__)
