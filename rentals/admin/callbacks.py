"""Callbacks in the Django admin. The page of one shows its code."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from rentals.admin.reveals import CodeOnPage
from rentals.models import Callback


@admin.register(Callback)
class CallbackAdmin(CodeOnPage):
    """Callbacks as they came."""

    ordering = ("-pk",)
    empty_sentence = gettext_lazy(
        "ThueSim has called nothing yet. It does so once it has the callback address that the page of a token makes."
    )
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
