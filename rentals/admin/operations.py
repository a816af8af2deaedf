"""Contract drift and the last runs of the jobs in the Django admin."""

from django.contrib import admin
from django.utils.translation import gettext_lazy

from accounts.admin import ReadOnlyAdmin
from accounts.admin.base import exact
from rentals.models import ContractDrift, JobRun


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
