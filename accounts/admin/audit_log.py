"""The audit log in the Django admin: read, searched, and nothing else."""

import json

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from accounts import audit
from accounts.admin.base import ReadOnlyAdmin
from accounts.models import AuditRecord


@admin.register(AuditRecord)
class AuditAdmin(ReadOnlyAdmin):
    """Who did what. The search takes a whole action, the beginning of a target, or a whole user name."""

    ordering = ("-pk",)  # the order of writing, with the primary key's index
    list_display = ("exact_at", "person", "team", "words", "target", "address")
    list_display_links = ("exact_at", "words")
    list_select_related = ("person", "team", "key")
    list_filter = ("at", "team")
    search_fields = ("action",)
    search_help_text = _("An action such as token_change, the beginning of a target, or a user name.")
    fields = ("exact_at", "person", "team", "key", "words", "action", "target", "details", "address")

    @admin.display(description=_("what happened"), ordering="action")
    def words(self, record: AuditRecord) -> str:
        return audit.label(record.action)

    @admin.display(description=_("detail"))
    def details(self, record: AuditRecord) -> SafeString:
        return format_html('<pre class="desk-detail">{}</pre>', json.dumps(record.detail, ensure_ascii=False, indent=1))

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[AuditRecord], search_term: str
    ) -> tuple[QuerySet[AuditRecord], bool]:
        term = search_term.strip()
        condition = Q(action=term) | Q(target__startswith=term) | Q(person__username=term)
        return queryset.filter(condition) if term else queryset, False
