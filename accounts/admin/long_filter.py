"""The filter of a list by a related row: links while they are few, a select where there would be hundreds."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin
from django.contrib.admin.views.main import ChangeList
from django.utils.safestring import SafeString

from lib.web.jinja import rendered

MAX_LINKS = 30


class LongFilter(admin.RelatedFieldListFilter):
    """Django's filter, which has a link for each row of the other table."""

    kept: list[tuple[str, str]]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_long = len(self.lookup_choices) > MAX_LINKS
        if self.is_long:
            self.template = "admin/long_filter.html"

    def field_choices(self, field: Any, request: Any, model_admin: Any) -> list[tuple[Any, Any]]:
        """Return the keys and names of the other rows: of a table with a `name` nothing else is read."""
        other = field.remote_field.model
        if "name" not in {column.name for column in other._meta.concrete_fields}:
            return super().field_choices(field, request, model_admin)
        return list(other._default_manager.order_by("name", "pk").values_list("pk", "name"))

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """Yield the links; beside a select those for all and for none."""
        if self.is_long:
            own = self.expected_parameters()
            self.kept = [(name, value) for name, value in changelist.params.items() if name not in own]
            rows, self.lookup_choices = self.lookup_choices, []
            yield from super().choices(changelist)
            self.lookup_choices = rows
        else:
            yield from super().choices(changelist)

    @property
    def options(self) -> SafeString:
        """The options of the select."""
        choices = [(str(key), name) for key, name in self.lookup_choices]
        return rendered("options.html", choices=choices, chosen=set(self.lookup_val or ()))


def register() -> None:
    """Let every list have it."""
    admin.FieldListFilter.register(lambda field: bool(field.remote_field), LongFilter, take_priority=True)
