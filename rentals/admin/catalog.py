"""Services and networks in the Django admin, as the upstream lists them, and the prefixes that admins edit."""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin import ReadOnlyAdmin, ReadOnlyInline, StaffAdmin, StaffInline
from accounts.admin.base import dong_column
from rentals.lifecycle import likely_network
from rentals.models import Network, Prefix, Service, ServicePrice
from rentals.models.catalog import searchable
from thuesim import phones


class ServerFilter(admin.AllValuesFieldListFilter):
    """Filter by the server; services without one have a name to click, too."""

    def choices(self, changelist: Any) -> Iterator[Any]:
        for choice in super().choices(changelist):
            yield {**choice, "display": choice["display"] or self.empty_value_display}


class PriceInline(ReadOnlyInline, admin.TabularInline[ServicePrice, Service]):
    model = ServicePrice
    fields = readonly_fields = ("since", "amount")
    amount = dong_column("price", gettext_lazy("price"))


@admin.register(Service)
class ServiceAdmin(ReadOnlyAdmin):
    """Services as the upstream lists them, with every price they had."""

    list_display = ("name", "key", "amount", "seconds", "active", "seen_at")
    list_filter = ("active", ("sv", ServerFilter))
    search_fields = ("search_name",)
    search_help_text = gettext_lazy("A part of the name, with or without accents, or the ID.")
    fields = ("name", "sv", "upstream_id", "amount", "seconds", "active", "seen_at")
    amount = dong_column("price", gettext_lazy("price"))
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
