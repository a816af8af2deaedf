"""People in the Django admin. A person who leaves is deactivated, not deleted: their name stays on what they did."""

from typing import Annotated, Any, TypedDict

from allauth.account.models import EmailAddress
from django import forms
from django.conf import settings
from django.contrib import admin
from django.contrib.auth.admin import UserAdmin
from django.contrib.auth.forms import AdminPasswordChangeForm, UserChangeForm
from django.db.models import Count, Exists, F, Model, OuterRef, Prefetch, QuerySet, Window
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from django_stubs_ext import Annotations

from accounts import memberships, notices
from accounts.admin.base import StaffAdmin, may_appoint, person_of
from accounts.admin.memberships import TeamsOfPerson, save_memberships
from accounts.audit import Action
from accounts.forms import OneAccount
from accounts.models import Membership, User
from accounts.policy import two_factor_methods
from accounts.single_sign_on import connections
from lib import announce

_ACCESS = {
    "is_active": _(
        "Clear the box when a person leaves: they are signed out everywhere at once, and their links stop working."
    ),
    "is_staff": _("An admin manages the tokens here, and may do in every team what its managers may do."),
    "is_superuser": _("May appoint admins."),
}


class PersonForm(OneAccount, UserChangeForm[User]):
    """The page of a person."""


class PasswordForm(AdminPasswordChangeForm):  # type: ignore[type-arg]  # generic in the stubs alone
    """Sets a person's password, or takes it away."""

    # Django's is put together when the program starts, in the language of the settings for everybody.
    usable_password_help_text = _(  # type: ignore[assignment]  # lazy
        "Without a password the person signs in by a provider alone; the current one is lost."
    )


class NewPersonForm(OneAccount):
    """Adds a person who signs in through a provider alone."""

    class Meta:
        model = User
        fields = ("username", "email")

    def save(self, commit: bool = True) -> User:
        self.instance.set_unusable_password()
        person: User = super().save(commit)
        return person


class Columns(TypedDict):
    """What the list adds to each person."""

    two_factor: bool


MAX_ROLES = 5  # that the list shows of a person


@admin.register(User)
class PersonAdmin(StaffAdmin, UserAdmin[User]):
    form = PersonForm
    change_password_form = PasswordForm
    audit_hidden = ("password", "password1", "password2")
    audit_apart = ("is_active", Membership)
    list_display = (
        "username", "full_name", "roles", "has_two_factor", "is_active", "may_administrate", "last_login", "email"
    )  # fmt: skip
    list_filter = ("is_active", "is_staff", "memberships__role", "memberships__team")
    search_fields = ("username", "first_name", "last_name", "email")
    filter_horizontal = ()
    autocomplete_fields = ("team",)
    actions = ("sign_out_selected", "disconnect_selected")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        (_("Person"), {"fields": ("first_name", "last_name", "email", "language", "team")}),
        (_("Access"), {"fields": ("is_active", "is_staff", "is_superuser")}),
        (_("Dates"), {"fields": ("last_login", "date_joined")}),
    )

    @admin.display(description=_("name"), ordering="first_name")
    def full_name(self, person: User) -> str:
        return person.get_full_name()

    @admin.display(description=_("teams and roles"))
    def roles(self, person: User) -> str:
        first = person.first_memberships  # type: ignore[attr-defined]
        roles = [f"{m.team} ({m.get_role_display()})" for m in first]
        count = first[0].count if first else 0
        return ", ".join(roles) + (f", … ({count})" if count > MAX_ROLES else "")

    @admin.display(description=_("admin"), boolean=True, ordering="is_staff")
    def may_administrate(self, person: User) -> bool:
        return person.is_staff

    @admin.display(description=_("two-factor"), boolean=True)
    def has_two_factor(self, person: Annotated[User, Annotations[Columns]]) -> bool:
        return person.two_factor

    def get_queryset(self, request: HttpRequest) -> QuerySet[User]:
        people: QuerySet[User] = super().get_queryset(request)
        methods = two_factor_methods(OuterRef("pk"))
        # Of a person in hundreds of teams, no more than the list shows.
        counted = Membership.objects.annotate(count=Window(Count("pk"), partition_by=F("user")))
        first = counted.select_related("team").order_by("pk")[:MAX_ROLES]
        memberships = Prefetch("memberships", first, to_attr="first_memberships")
        return people.prefetch_related(memberships).annotate(two_factor=Exists(methods))

    def formfield_for_dbfield(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "language":
            choices = [("", _("as the browser asks")), *settings.LANGUAGES]
            return forms.ChoiceField(label=_("Language"), choices=choices, required=False)
        if db_field.name in _ACCESS:
            kwargs["help_text"] = _ACCESS[db_field.name]
        return super().formfield_for_dbfield(db_field, request, **kwargs)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Only a superuser changes a superuser: an admin could set their password and sign in as them."""
        is_above = isinstance(obj, User) and obj.is_superuser and not may_appoint(request)
        return super().has_change_permission(request, obj) and not is_above

    def get_fieldsets(self, request: HttpRequest, obj: User | None = None) -> Any:
        """Without the password where passwords are off."""
        if settings.PASSWORDS:
            return super().get_fieldsets(request, obj)
        if obj is None:
            return ((None, {"classes": ("wide",), "fields": NewPersonForm.Meta.fields}),)
        return ((None, {"fields": ("username",)}), *self.fieldsets[1:])

    def get_form(self, request: HttpRequest, obj: User | None = None, change: bool = False, **kwargs: Any) -> Any:
        if obj is None and not settings.PASSWORDS:
            kwargs["form"] = NewPersonForm
        return super().get_form(request, obj, change=change, **kwargs)

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:
        """Only superusers appoint admins, and no admin removes their own access."""
        fixed = ["last_login", "date_joined"]
        if not may_appoint(request) or obj == request.user:
            fixed += ["is_staff", "is_superuser"]
        return [*fixed, "is_active"] if obj == request.user else fixed

    def get_inlines(self, request: HttpRequest, obj: User | None) -> list[Any]:
        return [TeamsOfPerson] if obj else []

    def save_model(self, request: HttpRequest, obj: User, form: Any, change: bool) -> None:
        """Save what the form changed. An account is ended and reopened as on the team's page."""
        by = person_of(request)
        if not change or by is None:
            super().save_model(request, obj, form, change)
            return
        columns = {field.name for field in User._meta.concrete_fields}
        if fields := [name for name in form.changed_data if name in columns and name != "is_active"]:
            obj.save(update_fields=fields)
        if "email" in fields:  # the old address must not receive password links
            EmailAddress.objects.filter(user=obj).exclude(email__iexact=obj.email).delete()
            if old := form.initial.get("email"):
                notices.tell(obj, Action.EMAIL_CHANGED, by=by, to=old)
        if {"is_staff", "is_superuser"} & set(fields):  # by hand from now on, whatever groups gave before
            User.objects.filter(pk=obj.pk).update(admin_source="")
        if "is_staff" in fields and not obj.is_staff:
            memberships.no_longer_admin(obj)
        if "is_active" in form.changed_data:
            memberships.reopen_account(by, obj) if obj.is_active else memberships.end_account(by, obj)
        announce.person(obj.pk)

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        save_memberships(request, formset)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:
        """A password set by another person ends the sessions that were begun with the old one."""
        if not settings.PASSWORDS:
            raise Http404
        answer: HttpResponse = super().user_change_password(request, id, form_url)
        person = User.objects.filter(pk=id).first()
        if request.method == "POST" and answer.status_code == 302 and person is not None and person != request.user:
            memberships.end_sessions(person)
            notices.tell(person, Action.PASSWORD_CHANGED, by=person_of(request))
        return answer

    @admin.action(description=_("Sign the selected people out everywhere"), permissions=["change"])
    def sign_out_selected(self, request: HttpRequest, chosen: QuerySet[User]) -> None:
        by, ended = person_of(request), 0
        for person in chosen:
            if by is not None and person != by and self.has_change_permission(request, person):
                count = memberships.end_sessions(person)
                memberships.record_ended_sessions(person, by=by, count=count)
                ended += count
        self.message_user(request, ngettext("%d session ended.", "%d sessions ended.", ended) % ended)

    @admin.action(description=_("Disconnect the selected people from their sign-in providers"), permissions=["change"])
    def disconnect_selected(self, request: HttpRequest, chosen: QuerySet[User]) -> None:
        by, ended = person_of(request), 0
        for person in chosen:
            if by is not None and person != by and self.has_change_permission(request, person):
                ended += connections.disconnect_by_admin(by, person)
        self.message_user(request, ngettext("%d connection ended.", "%d connections ended.", ended) % ended)
