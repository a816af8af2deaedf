"""The ledger, balance readings and open questions in the Django admin."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from accounts.admin import ReadOnlyAdmin
from accounts.admin.base import dong_column, exact
from lib.formats import dong
from rentals.models import BalanceQuestion, BalanceReading, LedgerEntry


@admin.register(LedgerEntry)
class LedgerAdmin(ReadOnlyAdmin):
    ordering = ("-pk",)
    list_display = ("exact_at", "token", "kind", "money", "rental", "note", "person")
    list_filter = ("kind", "at", "token")
    exclude = ("amount",)
    readonly_fields = ("money",)
    money = dong_column("amount", gettext_lazy("amount"))

    def get_queryset(self, request: HttpRequest) -> QuerySet[LedgerEntry]:
        entries: QuerySet[LedgerEntry] = super().get_queryset(request)
        return entries.select_related("token", "rental__service", "person")


@admin.register(BalanceReading)
class ReadingAdmin(ReadOnlyAdmin):
    ordering = ("-pk",)
    list_display = ("exact_at", "token", "read", "awaited", "unexplained")
    list_select_related = ("token",)
    list_filter = ("at", "token")
    fields = ("token", "at", "read", "awaited", "unexplained")
    read = dong_column("balance", gettext_lazy("balance"))
    awaited = dong_column("expected", gettext_lazy("expected"))

    @admin.display(description=gettext_lazy("unexplained"))
    def unexplained(self, reading: BalanceReading) -> str:
        return dong(reading.unexplained)


@admin.register(BalanceQuestion)
class QuestionAdmin(ReadOnlyAdmin):
    """Managers answer them, on the spend page."""

    ordering = ("-pk",)
    empty_sentence = gettext_lazy("No question: every change of a balance is explained.")
    list_display = ("exact_until", "token", "money", "answer", "note", "person", "answered_at")
    list_select_related = ("token", "person")
    list_filter = ("until", "answer", "token")
    fields = ("token", "since", "until", "money", "asked_at", "answer", "note", "person", "answered_at")
    money = dong_column("amount", gettext_lazy("amount"))

    @admin.display(description=gettext_lazy("until"), ordering="until")
    def exact_until(self, question: BalanceQuestion) -> str:
        return exact(question.until)
