"""The Django admin for what the desk keeps. The product alone writes rentals and money: here they can be read.

Lists show no codes. The page of one rental, message or callback does, and opening it is recorded as a reveal, but for a
rental of the admin's own.
"""

from contextlib import suppress
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import audit
from accounts.admin import ReadOnlyAdmin, ReadOnlyInline, StaffAdmin, StaffInline
from accounts.admin.base import exact, person_of
from lib.query_params import whole_number
from rentals.admin.tokens import TokenAdmin
from rentals.lifecycle import likely_network, reasons
from rentals.models import (
    BalanceQuestion,
    BalanceReading,
    Callback,
    ContractDrift,
    JobRun,
    LedgerEntry,
    Message,
    MessageSource,
    Network,
    Prefix,
    Rental,
    RentalEvent,
    Service,
    ServicePrice,
)
from rentals.models.catalog import searchable
from thuesim import phones, rental_key

__all__ = ["TokenAdmin"]


class PriceInline(ReadOnlyInline, admin.TabularInline[ServicePrice, Service]):
    model = ServicePrice
    fields = readonly_fields = ("since", "price")


@admin.register(Service)
class ServiceAdmin(ReadOnlyAdmin):
    """Services as the upstream lists them, with every price they had."""

    list_display = ("name", "key", "price", "seconds", "active", "seen_at")
    list_filter = ("active", "sv")
    search_fields = ("search_name",)
    search_help_text = gettext_lazy("A part of the name, with or without accents, or the ID.")
    fields = ("name", "sv", "upstream_id", "price", "seconds", "active", "seen_at")
    inlines = (PriceInline,)

    @admin.display(description=gettext_lazy("SV.ID"), ordering="upstream_id")
    def key(self, service: Service) -> str:
        return service.key

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Service], search_term: str
    ) -> tuple[QuerySet[Service], bool]:
        for word in searchable(search_term[: self.max_search_length]).split():
            queryset = queryset.filter(Q(search_name__contains=word) | Q(upstream_id=word.rpartition(".")[2]))
        return queryset, False


class PrefixForm(forms.ModelForm[Prefix]):
    class Meta:
        model = Prefix
        fields = ("digits",)

    def clean_digits(self) -> str:
        """Take `096` and `96` alike."""
        try:
            digits = phones.prefix(self.cleaned_data["digits"])
        except ValueError as error:
            raise ValidationError(_("Write digits such as 96 or 096.")) from error
        return digits


class PrefixInline(StaffInline, admin.TabularInline[Prefix, Network]):
    model = Prefix
    form = PrefixForm
    extra = 1


@admin.register(Network)
class NetworkAdmin(StaffAdmin):
    """Networks come from the upstream; the prefixes by which their numbers are recognised are ours."""

    list_display = ("name", "prefix_list", "active", "seen_at")
    fields = readonly_fields = ("name", "upstream_id", "active", "seen_at")
    inlines = (PrefixInline,)

    @admin.display(description=gettext_lazy("prefixes"))
    def prefix_list(self, network: Network) -> str:
        return " ".join(f"0{prefix.digits}" for prefix in network.prefixes.all())

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Network]:
        networks: QuerySet[Network] = super().get_queryset(request)
        return networks.prefetch_related("prefixes")

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        transaction.on_commit(likely_network.forget)


class CodeOnPage(ReadOnlyAdmin):
    """Rows whose page shows a code: opening it is recorded as a reveal, but for a rental of the admin's own."""

    def rental_of(self, row: Any) -> Rental | None:
        """Return the rental that the code belongs to; None if it is unknown."""
        rental: Rental | None = row.rental
        return rental

    def shows_code(self, row: Any) -> bool:
        return True

    def render_change_form(
        self,
        request: HttpRequest,
        context: dict[str, Any],
        add: bool = False,
        change: bool = False,
        form_url: str = "",
        obj: Any = None,
    ) -> HttpResponse:
        if obj is not None and self.shows_code(obj):
            self._record_reveal(request, obj, self.rental_of(obj))
        return super().render_change_form(request, context, add, change, form_url, obj)

    def _record_reveal(self, request: HttpRequest, row: Model, rental: Rental | None) -> None:
        person = person_of(request)
        if rental is None or person is None or rental.person_id != person.pk:
            audit.record(
                audit.Action.REVEAL,
                person=person,
                team=rental.team if rental else None,
                target=audit.about(rental or row),
                request=request,
                detail={"in": "admin"},
            )


class MessageInline(ReadOnlyInline, admin.TabularInline[Message, Rental]):
    model = Message
    fields = readonly_fields = ("exact_at", "code", "text", "is_call", "source")


class EventInline(ReadOnlyInline, admin.TabularInline[RentalEvent, Rental]):
    model = RentalEvent
    fields = readonly_fields = ("exact_at", "kind", "before", "after", "person", "detail")

    def get_queryset(self, request: HttpRequest) -> QuerySet[RentalEvent]:
        events: QuerySet[RentalEvent] = super().get_queryset(request)
        return events.select_related("person")


class LedgerInline(ReadOnlyInline, admin.TabularInline[LedgerEntry, Rental]):
    model = LedgerEntry
    fields = readonly_fields = ("exact_at", "kind", "amount", "note")


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
        "price",
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
        (gettext_lazy("Result"), {"fields": ("upstream_id", "phone_number", "network", "price", "unasked")}),
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
        return [(source, source) for source in MessageSource]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Message]) -> QuerySet[Message]:
        return queryset.filter(source=self.value()) if self.value() else queryset


@admin.register(Message)
class MessageAdmin(CodeOnPage):
    ordering = ("-pk",)
    list_display = ("exact_at", "rental", "is_call", "source")
    list_filter = ("at", "is_call", SourceFilter)
    fields = ("rental", "at", "code", "text", "is_call", "source")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Message]:
        messages: QuerySet[Message] = super().get_queryset(request)
        return messages.select_related("rental__service", "rental__team").defer("audio_url")


@admin.register(LedgerEntry)
class LedgerAdmin(ReadOnlyAdmin):
    ordering = ("-pk",)
    list_display = ("exact_at", "token", "kind", "amount", "rental", "note", "person")
    list_filter = ("kind", "at", "token")

    def get_queryset(self, request: HttpRequest) -> QuerySet[LedgerEntry]:
        entries: QuerySet[LedgerEntry] = super().get_queryset(request)
        return entries.select_related("token", "rental__service", "person")


@admin.register(BalanceReading)
class ReadingAdmin(ReadOnlyAdmin):
    ordering = ("-pk",)
    list_display = ("exact_at", "token", "balance", "expected", "unexplained")
    list_select_related = ("token",)
    list_filter = ("at", "token")
    fields = ("token", "at", "balance", "expected", "unexplained")

    @admin.display(description=gettext_lazy("unexplained, đồng"))
    def unexplained(self, reading: BalanceReading) -> int | None:
        return reading.unexplained


@admin.register(BalanceQuestion)
class QuestionAdmin(ReadOnlyAdmin):
    """Managers answer them, on the spend page."""

    ordering = ("-pk",)
    list_display = ("exact_until", "token", "amount", "answer", "note", "person", "answered_at")
    list_select_related = ("token", "person")
    list_filter = ("until", "answer", "token")
    fields = ("token", "since", "until", "amount", "asked_at", "answer", "note", "person", "answered_at")

    @admin.display(description=gettext_lazy("until"), ordering="until")
    def exact_until(self, question: BalanceQuestion) -> str:
        return exact(question.until)


@admin.register(Callback)
class CallbackAdmin(CodeOnPage):
    """Callbacks as they came."""

    ordering = ("-pk",)
    list_display = ("exact_at", "token", "state", "upstream_key", "rental", "address")
    list_filter = ("state", "at", "token")
    search_fields = ("=upstream_key",)
    fields = ("token", "at", "state", "upstream_key", "rental", "applied_at", "address", "content_type", "text")

    @admin.display(description=gettext_lazy("body"))
    def text(self, callback: Callback) -> str:
        return bytes(callback.body).decode("utf-8", "replace")

    def get_queryset(self, request: HttpRequest) -> QuerySet[Callback]:
        callbacks: QuerySet[Callback] = super().get_queryset(request)
        return callbacks.select_related("token", "rental__service", "rental__team").defer("body")


@admin.register(ContractDrift)
class DriftAdmin(ReadOnlyAdmin):
    """How the upstream's replies differ from its API page."""

    list_display = ("endpoint", "form", "count", "first_at", "last_at")
    list_display_links = ("endpoint", "form")
    list_filter = ("endpoint",)
    search_fields = ("form",)
    fields = ("endpoint", "form", "count", "first_at", "last_at", "sample")


@admin.register(JobRun)
class JobRunAdmin(ReadOnlyAdmin):
    ordering = ("-at",)
    list_display = ("name", "token", "exact_at", "last_success", "fault")
    list_select_related = ("token",)
    list_filter = ("name", "token")

    @admin.display(description=gettext_lazy("last success"), ordering="ok_at")
    def last_success(self, run: JobRun) -> str:
        return exact(run.ok_at)
