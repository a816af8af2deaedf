"""Teams in the Django admin: their settings, budgets, services and people."""

from typing import Annotated, Any, ClassVar, TypedDict

from django.contrib import admin
from django.db.models import Count, OuterRef, QuerySet, Subquery
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django_stubs_ext import Annotations

from accounts.admin import memberships
from accounts.admin.base import StaffAdmin
from accounts.forms import TeamSettingsForm
from accounts.models import Membership, Team, User
from lib import announce
from lib.formats import dong


class TeamForm(TeamSettingsForm):
    """The settings, with the rules of the team's page: a person without two-factor authentication cannot require it."""

    asked_by: ClassVar[User]

    class Meta(TeamSettingsForm.Meta):
        fields = (*TeamSettingsForm.Meta.fields, "services")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, by=self.asked_by, **kwargs)
        for name in ("budget_day", "budget_month", "max_price", "low_balance"):
            self.fields[name].widget.attrs["class"] = "desk-money"


class Columns(TypedDict):
    """What the list adds to each team."""

    people: int


@admin.register(Team)
class TeamAdmin(StaffAdmin):
    form = TeamForm
    audit_apart = (Membership,)
    ordering = ("name",)
    list_display = (
        "name", "people", "spends_a_day", "spends_a_month", "purpose_required", "shares_codes", "requires_second_step"
    )  # fmt: skip
    search_fields = ("name",)
    autocomplete_fields = ("services",)
    inlines = (memberships.PeopleOfTeam,)
    fieldsets = (
        (None, {"fields": ("name", "purpose_required")}),
        (_("Budgets"), {"fields": ("budget_day", "budget_month", "max_price", "low_balance")}),
        (_("Codes"), {"fields": ("shares_codes", "codes_fade_minutes", "requires_second_step")}),
        (_("Services"), {"fields": ("services",)}),
    )

    @admin.display(description=_("people"), ordering="people")
    def people(self, team: Annotated[Team, Annotations[Columns]]) -> int:
        return team.people

    @admin.display(description=_("budget per day"), ordering="budget_day")
    def spends_a_day(self, team: Team) -> str:
        return dong(team.budget_day)

    @admin.display(description=_("budget per month"), ordering="budget_month")
    def spends_a_month(self, team: Team) -> str:
        return dong(team.budget_month)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Team]:
        teams: QuerySet[Team] = super().get_queryset(request)
        # Of the teams that the list shows: a join counts the people of all.
        members = Membership.objects.filter(team=OuterRef("pk")).order_by().values("team")
        return teams.annotate(people=Coalesce(Subquery(members.annotate(n=Count("pk")).values("n")), 0))

    def get_form(self, request: HttpRequest, obj: Team | None = None, change: bool = False, **kwargs: Any) -> Any:
        form = super().get_form(request, obj, change=change, **kwargs)
        return type(form.__name__, (form,), {"asked_by": request.user})

    def save_model(self, request: HttpRequest, obj: Team, form: Any, change: bool) -> None:
        columns = {field.name for field in Team._meta.concrete_fields}
        if not change:
            obj.save()
        elif fields := [name for name in form.changed_data if name in columns]:
            obj.save(update_fields=fields)
        announce.team(obj.pk, "refresh")

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        memberships.save_memberships(request, formset)
