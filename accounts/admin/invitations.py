"""Invitations in the Django admin: who invited whom, and revoking those still open. They are made on the team's page,
which shows the link once."""

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts import invitations
from accounts.admin.base import ReadOnlyAdmin, access_in, is_admin
from accounts.models import Invitation


class StatusFilter(admin.SimpleListFilter):
    title = _("status")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: object) -> list[tuple[str, str]]:
        labels = {"open": _("open"), "used": _("used"), "withdrawn": _("revoked"), "expired": _("expired")}
        return [(name, str(label)) for name, label in labels.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Invitation]) -> QuerySet[Invitation]:
        conditions = {
            "open": Invitation.usable(),
            "used": Q(used_at__isnull=False),
            "withdrawn": Q(used_at=None, revoked_at__isnull=False),
            "expired": Q(used_at=None, revoked_at=None, expires_at__lte=timezone.now()),
        }
        return queryset.filter(conditions.get(self.value() or "", Q()))


@admin.register(Invitation)
class InvitationAdmin(ReadOnlyAdmin):
    ordering = ("-pk",)
    list_display = ("note_or_number", "team", "role", "status", "invited_by", "created_at", "expires_at", "used_by")
    list_filter = (StatusFilter, "role", "team")
    list_select_related = ("team", "invited_by", "used_by")
    empty_sentence = _("No invitation yet. They are made on the page of a team, and listed here.")
    search_fields = ("note", "invited_by__username", "used_by__username")
    fields = (
        "team", "role", "note", "status", "invited_by", "created_at", "expires_at", "used_at", "used_by", "revoked_at"
    )  # fmt: skip
    actions = ("revoke_selected",)

    @admin.display(description=_("for whom"), ordering="note")
    def note_or_number(self, invitation: Invitation) -> str:
        return invitation.note or f"#{invitation.pk}"

    @admin.display(description=_("status"))
    def status(self, invitation: Invitation) -> Promise:
        if invitation.used_at:
            return _("used")
        if invitation.revoked_at:
            return _("revoked")
        return _("open") if invitation.expires_at > timezone.now() else _("expired")

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Whether the action is offered; Django finds this method by its name."""
        return is_admin(request)

    @admin.action(description=_("Revoke the selected invitations"), permissions=["revoke"])
    def revoke_selected(self, request: HttpRequest, chosen: QuerySet[Invitation]) -> None:
        count = 0
        for invitation in chosen.select_related("team"):
            by, access = access_in(request, invitation.team)
            count += invitations.revoke(by, access, invitation)
        message = ngettext("%d invitation revoked.", "%d invitations revoked.", count) % count
        self.message_user(request, message)
