"""The rules of all pages of the Django admin: for admins only, no deletion, each change audited, fast lists."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any

from allauth.account.admin import EmailAddress
from allauth.account.decorators import secure_admin_login
from allauth.mfa.admin import Authenticator
from allauth.socialaccount.admin import SocialAccount, SocialApp, SocialToken
from allauth.usersessions.admin import UserSession
from django.contrib import admin, messages
from django.contrib.admin.exceptions import DisallowedModelAdminLookup
from django.contrib.admin.utils import lookup_spawns_duplicates
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import admin as registers_groups  # noqa: F401
from django.contrib.auth.models import Group
from django.core.exceptions import FieldDoesNotExist, FieldError, ValidationError
from django.core.paginator import Paginator
from django.db import DataError
from django.db.models import BooleanField, DateField, Model, QuerySet
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from accounts import audit
from accounts.admin import long_filter
from accounts.memberships import NotDone
from accounts.models import Role, Team, User
from accounts.policy import Access
from lib.formats import dong

admin.site.site_header = admin.site.site_title = "ThueSim Desk"
admin.site.index_title = _("Administration")
long_filter.register()
# Through the product's own sign-in, so that its throttle, two-factor authentication and audit records apply here too.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]
# What an admin sets up stands apart from what is only looked up.
_SET_UP = ("Token", "Team", "User", "GroupRule", "Invitation", "Service", "Network")
_list_of_apps = admin.site.get_app_list


def _lists(request: HttpRequest, app_label: str | None = None) -> list[Any]:
    """Return the lists in two groups; those of one app as they are."""
    apps = _list_of_apps(request, app_label)
    if app_label is not None:
        return apps
    models = {model["object_name"]: model for app in apps for model in app["models"]}
    set_up = [models.pop(name) for name in _SET_UP if name in models]
    groups = [(_("Set up"), set_up), (_("Records"), list(models.values()))]
    return [
        {
            "name": name,
            "app_label": "desk",
            "app_url": reverse("admin:index"),
            "has_module_perms": True,
            "models": group,
        }
        for name, group in groups
        if group
    ]


admin.site.get_app_list = _lists  # type: ignore[method-assign]
admin.site.unregister(Group)  # who may do what is decided by role, in `accounts.policy`
# Their pages would show two-factor secrets and session keys, or change where password links go and who signs in without a
# record. Providers are in the settings alone.
admin.site.unregister([Authenticator, EmailAddress, UserSession, SocialAccount, SocialApp, SocialToken])


class BoundedPaginator(Paginator[Any]):
    """Counts at most `MAX_COUNT` rows: an exact count would read the whole table. Search and filters reach the rest."""

    MAX_COUNT = 10_000

    @cached_property
    def count(self) -> int:
        rows = self.object_list
        if not isinstance(rows, QuerySet):
            return len(rows)
        # Their keys alone: what a list adds to each row, and a comparison of whole rows, take longer than the page.
        return rows.order_by().values("pk")[: self.MAX_COUNT].count()


class EachOnceList(ChangeList):
    """A list whose filters by other rows, such as a person's memberships, are conditions and no joins: else the database
    compares the found rows with one another, all columns of each, to show none twice."""

    def get_filters(self, request: HttpRequest) -> Any:
        """Return Django's, of which none finds a row twice."""
        filters, *others, _may_repeat = super().get_filters(request)
        for each in filters:
            path = getattr(each, "field_path", None)
            if path and lookup_spawns_duplicates(self.lookup_opts, path):
                each.queryset = partial(self._once, each.queryset)  # type: ignore[method-assign]
        return filters, *others, False

    def _once(self, filtered: Any, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        found = filtered(request, self.model._default_manager.all())
        return queryset.filter(pk__in=found.values("pk"))


def exact(at: datetime | None) -> str:
    """Return a moment to the second, in the desk's time zone; `–` for None."""
    return f"{timezone.localtime(at):%d/%m/%Y %H:%M:%S}" if at else "–"


def dong_column(name: str, label: Any) -> Any:
    """Return a column of a list, or a field of a page, that shows the amount in the model's field `name`."""

    @admin.display(description=label, ordering=name)
    def column(self: Any, row: Any) -> str:
        return dong(getattr(row, name)).replace(" ", "\N{NO-BREAK SPACE}") or "–"

    return column


class WithMoment:
    """Adds the column `exact_at` for rows with an `at`."""

    @admin.display(description=_("at"), ordering="at")
    def exact_at(self, row: Any) -> str:
        return exact(row.at)


class StaffAdmin(WithMoment, admin.ModelAdmin[Any]):
    """For every admin (active staff), without Django's permissions; nothing is deleted; each change is audited.

    The audit record has each field's value before and after; of a field in `audit_hidden`, only that it changed.
    A field or an inline model in `audit_apart` is left to the function that changes it and records that itself.
    """

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    list_per_page = 50
    paginator = BoundedPaginator
    # A longer search, with a condition for each of its words, is more than SQLite's parser takes.
    max_search_length = 200
    # What the list says while it is empty: why, and what to do next.
    empty_sentence: Any = _("Nothing here yet.")
    audit_hidden: tuple[str, ...] = ()
    audit_apart: tuple[str | type[Model], ...] = ()

    def has_module_permission(self, request: HttpRequest) -> bool:
        return is_admin(request)

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return is_admin(request)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return is_admin(request)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return is_admin(request)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Allow what the list's own filters ask and nothing else: a free look-up reads a hidden column bit by bit.

        A day must come with its time zone, as the filters write it.
        """
        if lookup in self._own_parameters():
            return True
        fields = dict(self._filtered_fields())
        name, _separator, kind = lookup.rpartition("__")
        if lookup in fields or kind not in {"exact", "isnull", "gte", "lt"}:
            name, kind = lookup, "exact"
        # The filter of a relation asks for its key, as in `team__id__exact`.
        field = fields.get(name) or fields.get(name.removesuffix("__id").removesuffix("__pk"))
        if field is None:
            return False
        if isinstance(field, DateField) and kind != "isnull":
            return kind in {"gte", "lt"} and _is_moment(value)
        if isinstance(field, BooleanField) or kind == "isnull":
            return value in {"0", "1", "True", "False"}
        return kind == "exact"

    def _own_parameters(self) -> set[str]:
        """Return the parameters that filters of ours read themselves."""
        return {str(getattr(item, "parameter_name", "")) for item in self.list_filter}

    def _filtered_fields(self) -> Iterator[tuple[str, Any]]:
        """Yield the names in `list_filter`, each with its field, by way of its relations."""
        for item in self.list_filter:
            name = item[0] if isinstance(item, tuple) else item
            if isinstance(name, str):
                field: Any = None
                for part in name.split("__"):
                    model = field.related_model if field else self.model
                    field = model._meta.get_field(part)
                yield name, field

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Return the class of the list."""
        return EachOnceList

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> Any:
        """Answer an address that asks for what the list does not offer, or for nonsense, with a sentence and the list."""
        if "e" not in request.GET:  # by which Django tells itself of a look-up that failed
            try:
                answer = super().changelist_view(request, extra_context)
            except (DisallowedModelAdminLookup, *_NONSENSE):
                if request.method == "GET" and not request.GET:
                    raise
            else:
                if not (isinstance(answer, HttpResponseRedirect) and answer.url.endswith("?e=1")):
                    return answer
        self.message_user(request, _("This list cannot be asked that. Here it is as a whole."), messages.WARNING)
        return HttpResponseRedirect(request.path)

    def to_field_allowed(self, request: HttpRequest, to_field: str) -> bool:
        """Allow a page to be asked for by its key alone, which is what every reference here holds."""
        return to_field == self.opts.pk.name

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Search for the beginning of a long text; the pickers of people and teams ask here, too."""
        return super().get_search_results(request, queryset, search_term[: self.max_search_length])

    def get_changeform_initial_data(self, request: HttpRequest) -> dict[str, Any]:
        """Fill in nothing from the address: no page of ours links to a form with values."""
        return {}

    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        """Show the sentence of a `NotDone` as an error; nothing on the page is saved then."""
        try:
            return super().changeform_view(request, *args, **kwargs)
        except NotDone as refused:
            self.message_user(request, refused.sentence, messages.ERROR)
            return HttpResponseRedirect(request.get_full_path())

    def construct_change_message(self, request: HttpRequest, form: Any, formsets: Any, add: bool = False) -> Any:
        """Return Django's list of what changed. What the audit record keeps of it is left on the request."""
        detail = self._changes(form, add=add)
        for formset in formsets or ():
            if formset.model not in self.audit_apart:
                detail |= _changes_inside(formset)
        request.audit_detail = detail  # type: ignore[attr-defined]
        return super().construct_change_message(request, form, formsets, add)

    def _changes(self, form: Any, *, add: bool) -> dict[str, Any]:
        """Return what a form changed as `{field: [before, after]}`."""
        detail: dict[str, Any] = {}
        for name in form.changed_data:
            if name in self.audit_hidden:
                detail[name] = "set" if add else "replaced"
            elif name not in self.audit_apart:
                before = None if add else form.initial.get(name)
                detail[name] = [_plain(before), _plain(form.cleaned_data.get(name))]
        return detail

    def log_addition(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        """Record an added row, in our audit log and in Django's log."""
        self.record(request, f"{self.opts.model_name}_add", obj, getattr(request, "audit_detail", None))
        return super().log_addition(request, obj, message)

    def log_change(self, request: HttpRequest, obj: Model, message: Any) -> Any:
        """Record a change, in our audit log and in Django's log. Changes in `audit_apart` are recorded elsewhere."""
        if detail := getattr(request, "audit_detail", None):
            self.record(request, f"{self.opts.model_name}_change", obj, detail)
        return super().log_change(request, obj, message)

    def record(self, request: HttpRequest, action: str, obj: Model, detail: Mapping[str, object] | None = None) -> None:
        """Write an audit record about a row. A team's managers may read what was done to the team."""
        team = obj if isinstance(obj, Team) else None
        detail = {"id": obj.pk, **(detail or {})}
        audit.record(
            action, person=person_of(request), team=team, target=audit.about(obj), request=request, detail=detail
        )


class ReadOnlyAdmin(StaffAdmin):
    """Rows that only the product writes."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


class StaffInline:
    """The rules of `StaffAdmin` for rows that are edited inside the page of another row."""

    def has_view_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return is_admin(request)

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return is_admin(request)

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return is_admin(request)

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return is_admin(request)


class ReadOnlyInline(WithMoment, StaffInline):
    """Rows that are only shown inside the page of another row."""

    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        return False


# What a value that fits no column raises, when it is read or when the database gets it.
_NONSENSE = (ValueError, TypeError, OverflowError, FieldDoesNotExist, FieldError, ValidationError, DataError)


def _is_moment(text: str) -> bool:
    """Whether this is a date and time with its zone, in a year that every database and zone can hold."""
    try:
        moment = parse_datetime(text)
    except ValueError:
        return False
    return moment is not None and moment.tzinfo is not None and 1900 <= moment.year < 3000


def is_admin(request: HttpRequest) -> bool:
    """Whether the request's person may use the Django admin."""
    return isinstance(request.user, User) and request.user.is_active and request.user.is_staff


def may_appoint(request: HttpRequest) -> bool:
    """Whether the request's person may appoint admins."""
    return is_admin(request) and isinstance(request.user, User) and request.user.is_superuser


def person_of(request: HttpRequest) -> User | None:
    """Return the request's person, None before sign-in."""
    return request.user if isinstance(request.user, User) else None


def access_in(request: HttpRequest, team: Team) -> tuple[User, Access]:
    """Return the request's admin, and what they may do in a team: what its managers may. Raises `NotDone`."""
    person = person_of(request)
    if person is None or not is_admin(request):
        raise NotDone(_("Only an admin may do this."))
    return person, Access(person.pk, True, team, Role.MANAGER)


def _changes_inside(formset: Any) -> dict[str, Any]:
    """Return what changed in an inline formset, as `{model, number and field: [before, after]}`."""
    kind = formset.model._meta.model_name
    detail: dict[str, Any] = {}
    for form in formset.initial_forms:
        if form.has_changed() and form not in formset.deleted_forms:
            for name in form.changed_data:
                values = [_plain(form.initial.get(name)), _plain(form.cleaned_data.get(name))]
                detail[f"{kind} {form.instance.pk} {name}"] = values
    for verb, rows in (("added", formset.new_objects), ("removed", formset.deleted_objects)):
        if rows:
            detail[f"{kind} {verb}"] = ", ".join(str(row) for row in rows)
    return detail


def _plain(value: object) -> object:
    """Return `value` as the JSON of an audit record has it."""
    if isinstance(value, QuerySet | list | tuple):
        return [_plain(item) for item in value]
    return value if value is None or isinstance(value, bool | int) else str(value)[:200]
