"""Rentals and their messages in the Django admin. Lists show no codes; the page of a rental or a message does."""

from contextlib import suppress

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from accounts.admin import ReadOnlyInline
from accounts.admin.base import dong_column
from lib.web.query_params import whole_number
from rentals.admin.reveals import CodeOnPage
from rentals.lifecycle import reasons
from rentals.models import LedgerEntry, Message, MessageSource, Rental, RentalEvent, Status, labels
from thuesim import phones, rental_key


def source_label(message: Message) -> str:
    return str(labels.SOURCES.get(message.source, message.source))


def _status(value: str) -> str:
    return str(Status(value).label) if value in Status.values else value


class MessageInline(ReadOnlyInline, admin.TabularInline[Message, Rental]):
    model = Message
    fields = readonly_fields = ("exact_at", "code", "text", "is_call", "source_label")

    @admin.display(description=gettext_lazy("source"))
    def source_label(self, message: Message) -> str:
        return source_label(message)


class EventInline(ReadOnlyInline, admin.TabularInline[RentalEvent, Rental]):
    model = RentalEvent
    fields = readonly_fields = ("exact_at", "what", "status_before", "status_after", "person", "detail")

    @admin.display(description=gettext_lazy("event"))
    def what(self, event: RentalEvent) -> str:
        return str(labels.EVENTS.get(event.kind, event.kind))

    @admin.display(description=gettext_lazy("status before"))
    def status_before(self, event: RentalEvent) -> str:
        return _status(event.before)

    @admin.display(description=gettext_lazy("status after"))
    def status_after(self, event: RentalEvent) -> str:
        return _status(event.after)

    def get_queryset(self, request: HttpRequest) -> QuerySet[RentalEvent]:
        events: QuerySet[RentalEvent] = super().get_queryset(request)
        return events.select_related("person")


class LedgerInline(ReadOnlyInline, admin.TabularInline[LedgerEntry, Rental]):
    model = LedgerEntry
    fields = readonly_fields = ("exact_at", "kind", "money", "note")
    money = dong_column("amount", gettext_lazy("amount"))


@admin.register(Rental)
class RentalAdmin(CodeOnPage):
    """All rentals of all teams, with their messages, timeline and money."""

    ordering = ("-pk",)
    list_display = (
        "number",
        "queued_at",
        "status",
        "phone_number",
        "service",
        "network",
        "amount",
        "team",
        "person",
        "token",
    )
    list_display_links = ("number", "queued_at")
    list_filter = ("status", "queued_at", "imported", "team", "token")
    search_fields = ("phone",)
    search_help_text = gettext_lazy(
        "A whole phone number in any form, ThueSim's ID, or the desk's number of the rental."
    )
    inlines = (MessageInline, EventInline, LedgerInline)
    fieldsets = (
        (None, {"fields": ("status", "why", "team", "person", "token", "service", "purpose", "imported", "again_of")}),
        (gettext_lazy("Requested"), {"fields": ("networks", "prefixes", "exclude_prefixes", "keep_trying_until")}),
        (gettext_lazy("Result"), {"fields": ("upstream_id", "phone_number", "network", "amount", "unasked")}),
        (
            gettext_lazy("When"),
            {
                "fields": (
                    "queued_at", "attempt_at", "attempts", "placed_at", "upstream_created_at", "expires_at",
                    "received_at", "ended_at", "due_at", "looks",
                )
            },
        ),
    )  # fmt: skip

    amount = dong_column("price", gettext_lazy("price"))

    def rental_of(self, row: Rental) -> Rental:
        return row

    def shows_code(self, row: Rental) -> bool:
        return row.messages.exists()

    @admin.display(description=gettext_lazy("number"), ordering="pk")
    def number(self, rental: Rental) -> str:
        return f"#{rental.pk}"

    @admin.display(description=gettext_lazy("phone"), ordering="phone")
    def phone_number(self, rental: Rental) -> str:
        return phones.pretty(rental.phone).replace(" ", "\N{NO-BREAK SPACE}") if rental.phone else ""

    @admin.display(description=gettext_lazy("reason"))
    def why(self, rental: Rental) -> str:
        sentence = str(reasons.SENTENCES.get(rental.reason, rental.reason))
        return f"{sentence} ({rental.reason_detail})" if rental.reason_detail else sentence

    def get_queryset(self, request: HttpRequest) -> QuerySet[Rental]:
        rentals: QuerySet[Rental] = super().get_queryset(request)
        return rentals.select_related("team", "person", "service", "token", "again_of__service")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Rental], search_term: str
    ) -> tuple[QuerySet[Rental], bool]:
        """Search by index alone: a whole phone number, ThueSim's ID with or without its SV, or our number of the rental."""
        term = search_term.strip()
        if not term:
            return queryset, False
        matches = Q(upstream_key=rental_key(term))
        with suppress(ValueError):
            matches |= Q(phone=phones.to_e164(term))
        pk = whole_number(term.removeprefix("#"))
        if pk is not None:
            matches |= Q(pk=pk)
        return queryset.filter(matches), False


class SourceFilter(admin.SimpleListFilter):
    """By how a message came. Django's own filter would read the whole table for its values."""

    title = gettext_lazy("source")
    parameter_name = "source"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [(source, str(labels.SOURCES[source])) for source in MessageSource]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Message]) -> QuerySet[Message]:
        return queryset.filter(source=self.value()) if self.value() else queryset


@admin.register(Message)
class MessageAdmin(CodeOnPage):
    ordering = ("-pk",)
    list_display = ("exact_at", "rental", "is_call", "source_label")
    list_filter = ("at", "is_call", SourceFilter)
    fields = ("rental", "at", "code", "text", "is_call", "source_label")

    @admin.display(description=gettext_lazy("source"))
    def source_label(self, message: Message) -> str:
        return source_label(message)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        messages: QuerySet[Message] = super().get_queryset(request)
        return messages.select_related("rental__service", "rental__team").defer("audio_url")
