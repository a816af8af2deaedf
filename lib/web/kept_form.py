"""What a person sent with a form that was not taken: the page that says so lets them send it again, or copy it."""

from collections.abc import Mapping
from typing import Any

from django.core.exceptions import SuspiciousOperation
from django.http import HttpRequest, QueryDict
from django.http.multipartparser import MultiPartParserError
from django.urls import reverse
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from lib.web.urls import page_before

# A form with one of these is not written into a page: secrets, and what may hold one, as the address of a webhook.
_SECRETS = frozenset({"code", "value", "bot_token", "credential", "address", "q"})
# What people type by hand and miss when it is gone. Nothing else is shown.
_TYPED: Mapping[str, Promise] = {
    "service": _("Service"),
    "services": _("Services"),
    "prefixes": _("Prefixes"),
    "exclude_prefixes": _("Excluded prefixes"),
    "purpose": _("Purpose"),
    "note": _("Note"),
    "name": _("Name"),
    "email": _("E-mail"),
    "chat": _("Chat id"),
    "addresses": _("Only from these addresses"),
}
MAX_SHOWN = 4000  # characters of one text


def kept_form(request: HttpRequest) -> dict[str, Any]:
    """Return what a page needs to keep a form: its `address`, the page `back` to which it leads, its `fields` as they were
    sent, and its `texts`, (label, value) of what was typed.

    `{}` where no form was sent; no `fields` where it is none of ours, has a file, or may hold a secret. Whether it may be
    sent again is the caller's to know: see `accounts.one_time_keys`.
    """
    if request.method != "POST":
        return {}
    try:
        page: dict[str, Any] = {"address": request.get_full_path(), "back": page_before(request)}
        sent = request.POST
        has_file = bool(request.FILES)
    except (SuspiciousOperation, MultiPartParserError, OSError):  # no form of ours, or one that is cut off
        return {"address": request.get_full_path(), "back": reverse("desk")}
    if "csrfmiddlewaretoken" not in sent:
        return page
    page["texts"] = [
        (label, text[:MAX_SHOWN]) for name, label in _TYPED.items() if (text := sent.get(name, "").strip())
    ]
    if has_file or any(_is_secret(name) for name in sent):
        return page
    return {**page, "fields": _fields(sent)}


def _is_secret(name: str) -> bool:
    return name in _SECRETS or "password" in name or "secret" in name


def _fields(sent: QueryDict) -> list[tuple[str, str]]:
    return [(name, str(value)) for name, values in sent.lists() for value in values]
