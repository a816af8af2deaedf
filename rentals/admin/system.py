"""Contract drift and the last runs of the jobs in the Django admin."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy

from accounts.admin import ReadOnlyAdmin
from accounts.admin.base import exact
from rentals.models import ContractDrift, JobName, JobRun, labels


@admin.register(ContractDrift)
class DriftAdmin(ReadOnlyAdmin):
    """How the upstream's replies differ from its API page."""

    empty_sentence = gettext_lazy("None: every answer of ThueSim was as its page describes it.")
    list_display = ("endpoint", "form", "count", "first_at", "last_at")
    list_display_links = ("endpoint", "form")
    list_filter = ("endpoint",)
    search_fields = ("form",)
    fields = ("endpoint", "form", "count", "first_at", "last_at", "sample")


class JobFilter(admin.SimpleListFilter):
    """By the job, in words: the names are stored."""

    title = gettext_lazy("job")
    parameter_name = "name"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        return [(name, str(labels.JOBS[name])) for name in JobName]

    def queryset(self, request: HttpRequest, queryset: QuerySet[JobRun]) -> QuerySet[JobRun]:
        return queryset.filter(name=self.value()) if self.value() else queryset


@admin.register(JobRun)
class JobRunAdmin(ReadOnlyAdmin):
    ordering = ("-at",)
    list_display = ("job", "token", "exact_at", "last_success", "fault")
    list_select_related = ("token",)
    list_filter = (JobFilter, "token")
    fields = ("job", "token", "exact_at", "last_success", "fault")

    @admin.display(description=gettext_lazy("job"), ordering="name")
    def job(self, run: JobRun) -> str:
        return str(labels.JOBS.get(run.name, run.name))

    @admin.display(description=gettext_lazy("last success"), ordering="ok_at")
    def last_success(self, run: JobRun) -> str:
        return exact(run.ok_at)
