"""Odd requests to the Django admin, from one seed: each is answered, none with an error page.

TEST_EFFORT=fuzz asks 5,000 of them.
"""

import os
import random
import sys
from collections import Counter
from typing import Any
from urllib.parse import quote, urlencode

from django.contrib import admin
from django.core.signals import got_request_exception
from django.db import transaction
from django.db.models import Model
from django.test import Client

from accounts.models import User
from pages.tests.world import World
from pages.tests.world import world as world

COUNT = 5000 if os.environ.get("TEST_EFFORT") == "fuzz" else 400
SEED = 20261126

ODD = [
    "", " ", "0", "-1", "1", "2", "999999999", "9" * 19, "9" * 40, "-" + "9" * 30, "1.5", "1e400", "NaN", "inf",
    "abc", "\0", "a\0b", "²³", "١٢", "'", '"', "%", "%%", "_", "__", "\\", "../..", "<b>", "{}", "[]", "None", "null",
    "True", "x" * 300, "x" * 20_000, "\ud7ff", "\U0001f600", "\u202e", "a" * 50 + " " * 50, "word " * 3000,
    "2026-02-30", "2026-11-22", "9999-12-31 23:59:59", "0001-01-01", "2026-11-22 25:61", "10000-01-01", "1,2",
    "1.2.3", "-1.-2", "1.1.1.1.1", "99", ".", "..", "-", "__all__", "_3A", "_", "_2F_2F", "_00", "5_2E", "+", "%00",
    "\t", "\r\n", "\x7f", "\x1b[0m", "rental", "pk", "id",
]  # fmt: skip
LOOKUPS = [
    "exact", "iexact", "startswith", "istartswith", "contains", "icontains", "regex", "iregex", "in", "gt", "gte",
    "lt", "lte", "range", "isnull", "year", "month", "day", "date", "week_day", "hour", "search", "len", "pk", "id",
    "unaccent", "trigram_similar", "pk__exact", "id__exact", "nonsense", "",
]  # fmt: skip
PARAMETERS = [
    "q", "p", "o", "e", "all", "_popup", "_to_field", "_facets", "_changelist_filters", "_source_model", "action",
    "index", "select_across", "_selected_action", "app_label", "model_name", "field_name", "term", "page", "language",
    "state", "source", "form-TOTAL_FORMS", "form-INITIAL_FORMS", "_save", "_continue", "_saveasnew", "_popup", "post",
    "next",
]  # fmt: skip
PAGES = [
    "", "", "", "add/", "{pk}/", "{pk}/change/", "{pk}/history/", "{pk}/delete/", "{pk}/password/", "{pk}/check/",
    "{pk}/replace/", "{pk}/callback/", "{pk}/balance/",
]  # fmt: skip


class Fuzz:
    """Makes requests: each is a method, an address with its query, and a form."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._models = sorted(admin.site._registry, key=lambda model: model._meta.label)

    def request(self) -> tuple[str, str, dict[str, Any]]:
        model = self._random.choice(self._models)
        path = f"/admin/{model._meta.app_label}/{model._meta.model_name}/{self._page(model)}"
        if self._random.random() < 0.08:
            path = self._random.choice(
                ["/admin/autocomplete/", "/admin/r/1/1/", "/admin/jsi18n/", "/admin/rentals/", "/admin/"]
            )
        query = dict(self._parameter(model) for _ in range(self._random.randint(0, 4)))
        form = dict(self._parameter(model) for _ in range(self._random.randint(0, 6)))
        method = self._random.choices(["GET", "POST"], [4, 1])[0]
        if method == "POST" and self._random.random() < 0.5:
            form |= {"action": self._random.choice(["pause_selected", "sign_out_selected", "revoke_selected", "x"])}
            form |= {"_selected_action": self._text(), "index": self._random.choice(["0", self._text()])}
        return method, f"{path}?{urlencode(query, errors='replace')}", form

    def _page(self, model: type[Model]) -> str:
        pk = self._random.choice(["1", "2", self._text()[:400]])
        return self._random.choice(PAGES).format(pk=quote(pk, safe="", errors="replace"))

    def _parameter(self, model: type[Model]) -> tuple[str, str]:
        if self._random.random() < 0.4:
            return self._random.choice(PARAMETERS), self._text()
        return self._lookup(model), self._text()

    def _lookup(self, model: type[Model]) -> str:
        """Return a column of the model, or of one that it refers to, with a look-up that may not fit it."""
        filters = [item for item in admin.site._registry[model].list_filter if isinstance(item, str)]
        names = [field.name for field in model._meta.get_fields()] + filters * 3
        parts = [self._random.choice(names)]
        more = [*LOOKUPS, "team", "person", "rental", "code", "password", "value", "user"]
        parts += self._random.choices(more, k=self._random.randint(0, 2))
        return "__".join(parts)

    def _text(self) -> str:
        text = self._random.choice(ODD)
        return text + self._random.choice(ODD)[:50] if self._random.random() < 0.15 else text


def test_no_odd_request_is_answered_with_an_error_page(world: World) -> None:
    as_admin = Client(raise_request_exception=False)
    as_admin.force_login(User.objects.get(username="admin"))
    errors: Counter[str] = Counter()
    raised: list[str] = []

    def note(sender: object, **kwargs: object) -> None:
        raised.append(repr(sys.exception())[:150])

    got_request_exception.connect(note)
    fuzz, statuses = Fuzz(SEED), Counter[int]()
    try:
        for _ in range(COUNT):
            method, address, form = fuzz.request()
            with transaction.atomic():
                response = as_admin.post(address, form) if method == "POST" else as_admin.get(address)
                transaction.set_rollback(True)
            statuses[response.status_code] += 1
            if response.status_code >= 500:
                errors[f"{method} {address[:200]} {form if method == 'POST' else ''} {raised[-1:]}"[:700]] += 1
    finally:
        got_request_exception.disconnect(note)
    print(dict(statuses))
    assert not errors, "\n".join(errors)
    assert statuses[200] > COUNT / 20, "hardly a request was understood"
