"""Every secret of the desk, by the form it has and by its value, kept out of logs and error pages.

`thuesim.redact` knows the API token. This module adds what is the desk's own: secrets in paths, cookies, passwords,
keys, and the values of the settings.
"""

import logging
import re
from typing import Final
from urllib.parse import unquote, urlsplit

from django.conf import settings

from lib.network.several_hosts import split_hosts
from thuesim import RedactingFilter, redact

# A shorter value is as likely an ordinary word: then only its place, such as `://user:…@`, gives it away.
MIN_VALUE_LENGTH = 6
# Each search is linear in hostile text: it begins at a fixed word, or scans a word from its start.
_PATTERNS: Final = (
    # Addresses that are secrets: of callbacks, of invitations, of password and e-mail links; also inside `?next=`.
    (
        re.compile(
            r"((?:/|%2[Ff])(?:callback|join|break-glass|reset(?:/|%2[Ff])key|confirm-email)(?:/|%2[Ff]))[^\s/?#&%\"'<>]+"
        ),
        r"\1…",
    ),
    # Cookies, form fields and columns, as headers, forms, SQL and Python write them.
    (
        re.compile(
            r"((?:sessionid|session_key|csrftoken|csrfmiddlewaretoken|passw(?:or)?d[12]?|new_value)[\"')]{0,2}\s{0,3}[=:]"
            r"\s{0,3}[\"'(]{0,2})[^\s\"'&;,<>()]+",
            re.IGNORECASE,
        ),
        r"\1…",
    ),
    (re.compile(r"\b(Bearer|Basic)( {1,3})[\w.~+/=-]{6,}", re.IGNORECASE), r"\1\2…"),
    (re.compile(r"(://[^\s/:@\"']{0,200}:)[^\s@\"'/]{1,200}@"), r"\1…@"),  # the password of a database's address
    (re.compile(r"\bdesk_[A-Za-z0-9_-]{43}(?![\w-])"), "desk_…"),  # an API key of the desk
    (re.compile(r"\bgAAAA[\w-]{20,}={0,2}"), "gAAAA…"),  # an encrypted text
    # What `secrets` makes: session keys and CSRF secrets (32 or 64), link secrets (43), encryption keys (43 and "="). One in
    # three hundred CSRF secrets has no digit; it is told from a name by its capitals.
    (
        re.compile(
            r"(?<![\w-])(?=[\w-]*[0-9]|[a-z_-]*(?:[A-Z][A-Z_-]*[a-z][a-z_-]*){4})(?=[\w-]*[A-Za-z])"
            r"(?:[A-Za-z0-9]{32}(?:[A-Za-z0-9]{32})?|[\w-]{43}=?)(?![\w-])"
        ),
        "…",
    ),
)  # fmt: skip


def setting_secrets() -> list[str]:
    """Return the secret values of the settings, each at least `MIN_VALUE_LENGTH` long."""
    addresses = [split_hosts(url)[0].password for url in (settings.REDIS_URL, settings.CELERY_BROKER_URL)]
    values = [
        settings.SECRET_KEY,
        *settings.TOKEN_KEYS,
        *(database.get("PASSWORD") for database in settings.DATABASES.values()),
        *(unquote(password) for password in addresses if password),
        settings.EMAIL_HOST_PASSWORD,
        settings.METRICS_TOKEN,
        urlsplit(settings.SENTRY_DSN).username,
        settings.BACKUP_PASSPHRASE,
        settings.FILES_BUCKET.secret if settings.FILES_BUCKET else "",
        *(provider.client_secret for provider in settings.OIDC_PROVIDERS.values()),
    ]
    return [str(value) for value in values if value and len(str(value)) >= MIN_VALUE_LENGTH]


def clean(text: str, *secrets: str) -> str:
    """Return `text` without the secrets of the settings, without `secrets`, and without what has a secret's form."""
    text = redact(text, *setting_secrets(), *secrets)
    for pattern, replacement in _PATTERNS:
        text = pattern.sub(replacement, text)
    return text


class DeskFilter(RedactingFilter):
    """The filter of the desk's log handler. What Django refuses of a stranger's request is one line, without the trace."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.name.startswith("django.security."):
            record.exc_info = record.exc_text = None
        return super().filter(record)

    def clean(self, text: str) -> str:
        return clean(text)
