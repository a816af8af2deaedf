"""Who is in which team, edited inside the pages of people and of teams.

Each change is made by `accounts.memberships`, as on the team's page: it keeps the last manager, writes an audit record,
and announces the change to the person's screens.
"""

from collections.abc import Iterator
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.html import format_html
from django.utils.safestring import SafeString

from accounts import memberships
from accounts.admin.base import StaffInline, access_in
from accounts.forms import BudgetsForm
from accounts.models import Membership, Role, Team, User

MAX_SHOWN = 50
BUDGETS = ("budget_day", "budget_month", "rentals_per_day")


class _Link(forms.Widget):
    """A link to the row's person or team, in place of a select box: neither is changed here."""

    needs_multipart_form = False

    def render(self, name: str, value: Any, attrs: Any = None, renderer: Any = None) -> SafeString:
        if not isinstance(value, User | Team):
            return SafeString("")
        address = reverse(f"admin:accounts_{value._meta.model_name}_change", args=[value.pk])
        return format_html('<a href="{}">{}</a>', address, value)


class MembershipForm(BudgetsForm):
    """A role and its budgets. The person and the team of an existing membership are fixed."""

    class Meta(BudgetsForm.Meta):
        fields = ("role", *BUDGETS)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name in BUDGETS:
            self.fields[name].widget.attrs["class"] = "vIntegerField" if name == "rentals_per_day" else "desk-money"
            self.fields[name].help_text = ""
        for name in ("user", "team"):
            if self.instance.pk and name in self.fields:
                label = self.fields[name].label
                self.fields[name] = forms.Field(widget=_Link, disabled=True, required=False, label=label)
                self.initial[name] = getattr(self.instance, name)


class MembershipFormSet(forms.BaseInlineFormSet[Membership, Any, Any]):
    """The first `MAX_SHOWN` memberships of a person or a team: a form with five fields takes 5 ms."""

    def get_queryset(self) -> QuerySet[Membership]:
        """Return what the page shows; of one that was sent all, since others may have joined since."""
        return super().get_queryset() if self.is_bound else self._first

    @cached_property
    def _first(self) -> QuerySet[Membership]:
        return super().get_queryset()[:MAX_SHOWN]

    @property
    def more(self) -> int:
        """How many are not shown."""
        is_full = len(self.initial_forms) >= MAX_SHOWN
        return super().get_queryset().count() - len(self.initial_forms) if is_full else 0

    @property
    def of_team(self) -> bool:
        return isinstance(self.instance, Team)


class MembershipInline(StaffInline, admin.TabularInline[Membership, Any]):
    model = Membership
    form = MembershipForm
    formset = MembershipFormSet
    template = "admin/accounts/memberships.html"
    extra = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[Membership]:
        rows: QuerySet[Membership] = super().get_queryset(request)
        return rows.select_related("user", "team").order_by("team__name", "user__username")


class TeamsOfPerson(MembershipInline):
    fields = ("team", "role", *BUDGETS)
    autocomplete_fields = ("team",)


class PeopleOfTeam(MembershipInline):
    fields = ("user", "role", *BUDGETS)
    autocomplete_fields = ("user",)


def save_memberships(request: HttpRequest, formset: Any) -> None:
    """Save a formset of memberships. Promotions first, so that a manager can be replaced in one save. Raises `NotDone`."""
    formset.save(commit=False)
    for form in sorted(formset.forms, key=lambda form: _place(form, formset)):
        if form in formset.deleted_forms:
            for membership in _fresh(form):
                by, access = access_in(request, membership.team)
                memberships.remove(by, access, membership)
        elif form.instance in formset.new_objects:
            row = form.instance
            by, access = access_in(request, row.team)
            memberships.add(by, access, row.user, Role(row.role), {name: getattr(row, name) for name in BUDGETS})
        elif form.has_changed():
            for membership in _fresh(form):
                by, access = access_in(request, membership.team)
                memberships.change_role(by, access, membership, Role(form.cleaned_data["role"]))
                memberships.set_budgets(by, access, membership, {name: form.cleaned_data[name] for name in BUDGETS})


def _place(form: Any, formset: Any) -> int:
    if form in formset.deleted_forms:
        return 2
    return 0 if form.instance.role == Role.MANAGER else 1


def _fresh(form: Any) -> Iterator[Membership]:
    """Yield the row as the database has it, if it is still there."""
    yield from Membership.objects.select_related("user", "team").filter(pk=form.instance.pk)
