"""The Django admin for people and teams, and the rules that all our admin pages keep."""

from typing import TYPE_CHECKING, Any

from allauth.account.decorators import secure_admin_login
from allauth.mfa.admin import Authenticator
from allauth.usersessions.admin import UserSession
from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.models import Group
from django.db.models import Count, Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts import audit
from accounts.models import AuditRecord, Membership, Team, User

if TYPE_CHECKING:
    Admin = admin.ModelAdmin[Any]
    PersonAdminBase = UserAdmin[User]
    MembershipsOfPerson = admin.TabularInline[Membership, User]
    MembershipsOfTeam = admin.TabularInline[Membership, Team]
else:  # they take no parameters at run time
    Admin, PersonAdminBase = admin.ModelAdmin, UserAdmin
    MembershipsOfPerson = MembershipsOfTeam = admin.TabularInline

admin.site.site_header = admin.site.site_title = "ThueSim Desk"
admin.site.index_title = _("Administration")
# Through the product's own sign-in: its throttle, its second factor and its records count here too.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
admin.site.unregister(Group)  # who may do what is decided by role, in `accounts.policy`
# Their pages would print what a second factor and a session rest on.
admin.site.unregister([Authenticator, UserSession])


class StaffAdmin(Admin):
    """For every admin (active staff), without single permissions; nothing is deleted; each change is audited.

    Fields named in `audit_hidden` are recorded by name only.
    """

    show_full_result_count = False
    list_per_page = 50
    audit_hidden: tuple[str, ...] = ()

    def has_module_permission(self, request: HttpRequest) -> bool:
        return _is_admin(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return _is_admin(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return _is_admin(request)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return _is_admin(request)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> list[Any]:
        """Django's own list of what changed, with the values before and after beside the fields' names."""
        message: list[Any] = list(super().construct_change_message(request, form, formsets, add))
        values = {
            name: [_plain(form.initial.get(name)), _plain(form.cleaned_data.get(name))]
            for name in form.changed_data
            if name not in self.audit_hidden and not add
        }
        if values and message and "changed" in message[0]:
            message[0]["changed"]["values"] = values
        return message

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        self._audit(request, obj, "add", message)
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        self._audit(request, obj, "change", message)
        return super().log_change(request, obj, message)

    def _audit(self, request: HttpRequest, obj: Model, verb: str, message: Any) -> None:
        if message:
            audit.record(
                f"{self.opts.model_name}_{verb}",
                person=_person(request),
                target=f"{obj}",
                request=request,
                detail={"id": obj.pk, "message": message},
            )


class ReadOnlyAdmin(StaffAdmin):
    """Rows that the product alone writes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class StaffInline:
    """The same rule for rows that are edited inside another's page."""

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return _is_admin(request)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return _is_admin(request)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return _is_admin(request)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return _is_admin(request)


class ReadOnlyInline(StaffInline):
    """Rows that are only shown inside another's page."""

    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


def _is_admin(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and request.user.is_active and request.user.is_staff


def _may_appoint(request: HttpRequest) -> bool:
    return isinstance(request.user, User) and request.user.is_active and request.user.is_superuser


def _person(request: HttpRequest) -> User | None:
    return request.user if isinstance(request.user, User) else None


def _plain(value: object) -> object:
    """Return `value` as the audit record keeps it."""
    if isinstance(value, QuerySet | list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int) else str(value)[:200]


class TeamsOfPerson(StaffInline, MembershipsOfPerson):
    model = Membership
    extra = 0
    autocomplete_fields = ["team"]


class PeopleOfTeam(StaffInline, MembershipsOfTeam):
    model = Membership
    extra = 0
    autocomplete_fields = ["user"]


@admin.register(User)
class PersonAdmin(StaffAdmin, PersonAdminBase):
    """People. Whoever leaves is deactivated: their name stays on what they did."""

    audit_hidden = ("password", "password1", "password2")
    list_display = ["username", "get_full_name", "email", "roles", "is_active", "is_staff", "last_login"]
    list_filter = ["is_active", "is_staff", "memberships__role"]
    search_fields = ["username", "first_name", "last_name", "email"]
    filter_horizontal = ()
    autocomplete_fields = ["team"]
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (_("Person"), {"fields": ("first_name", "last_name", "email", "language", "team")}),
        (_("Access"), {"fields": ("is_active", "is_staff", "is_superuser")}),
        (_("Dates"), {"fields": ("last_login", "date_joined")}),
    )

    @admin.display(description=_("teams and roles"))
    def roles(self, person: User) -> str:
        return ", ".join(f"{m.team} ({m.get_role_display()})" for m in person.memberships.all())

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        return super().get_queryset(request).prefetch_related("memberships__team")

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "language":
            choices = [("", _("as the browser asks")), *settings.LANGUAGES]
            return forms.ChoiceField(label=_("Language"), choices=choices, required=False)
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Only a superuser changes a superuser: a password set for one would be a way up."""
        above = isinstance(obj, User) and obj.is_superuser and not _may_appoint(request)
        return super().has_change_permission(request, obj) and not above

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        """Superusers alone appoint admins, and nobody takes their own access away."""
        fixed = ["last_login", "date_joined"]
        if not _may_appoint(request) or obj == request.user:
            fixed += ["is_staff", "is_superuser"]
        return [*fixed, "is_active"] if obj == request.user else fixed

    def get_inlines(self, request: HttpRequest, obj: User | None) -> list[Any]:
        return [TeamsOfPerson] if obj else []


@admin.register(Team)
class TeamAdmin(StaffAdmin):
    ordering = ["name"]
    list_display = ["name", "people", "purpose_required", "shares_codes"]
    search_fields = ["name"]
    autocomplete_fields = ["services"]
    inlines = [PeopleOfTeam]

    @admin.display(description=_("people"), ordering="people")
    def people(self, team: Team) -> int:
        return team.people  # type: ignore[attr-defined, no-any-return]  # annotated below

    def get_queryset(self, request: HttpRequest) -> QuerySet[Team]:
        teams: QuerySet[Team] = super().get_queryset(request)
        return teams.annotate(people=Count("memberships"))


@admin.register(AuditRecord)
class AuditAdmin(ReadOnlyAdmin):
    """Who did what. Searched by the whole action, the beginning of the thing, or the person's whole user name."""

    list_display = ["at", "person", "team", "action", "target", "address"]
    list_display_links = ["at", "action"]
    list_select_related = ["person", "team"]
    list_filter = ["at", "team"]
    search_fields = ["action"]
    search_help_text = _("An action such as token_change, the beginning of the thing, or a user name.")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditRecord], search_term: str
    ) -> tuple[QuerySet[AuditRecord], bool]:
        term = search_term.strip()
        wanted = Q(action=term) | Q(target__startswith=term) | Q(person__username=term)
        return queryset.filter(wanted) if term else queryset, False
