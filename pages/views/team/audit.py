"""The audit log for a team's managers: searched, page by page, exported."""

import json
from collections.abc import Iterator
from datetime import timedelta, tzinfo

from django.core.exceptions import PermissionDenied
from django.db.models import Q, QuerySet
from django.http import HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts import audit
from accounts.http import DeskRequest
from accounts.models import AuditRecord, User
from accounts.policy import Access
from lib.files.spreadsheets import csv_chunks
from lib.web.query_params import day, midnight, whole_number
from pages.presenters.audit import details, target
from pages.views.team.team import managed_team
from rentals import code_access
from rentals.queries import search

PAGE_SIZE = 50
MAX_EXPORTED = 100_000
_HEADINGS = ["at", "person", "action", "on what", "detail", "address", "API key"]


@require_safe
@never_cache
def team_audit(request: DeskRequest) -> HttpResponse:
    """Show a page of the audit log, newest first."""
    team = managed_team(request)
    matching = _matching(request.GET, request.access)
    before = whole_number(request.GET.get("before"))
    if before is not None:
        matching = matching.filter(pk__lt=before)
    records = list(matching[: PAGE_SIZE + 1])
    query = request.GET.copy()
    query.pop("before", None)
    context = {
        "records": [
            (record, audit.label(record.action), target(record), details(record)) for record in records[:PAGE_SIZE]
        ],
        "next": records[PAGE_SIZE - 1].pk if len(records) > PAGE_SIZE else None,
        "query": query.urlencode(),
        "asked": request.GET,
        "people": User.objects.filter(memberships__team=team).order_by("username"),
        "actions": sorted(((value, str(label)) for value, label in audit.Action.choices), key=lambda pair: pair[1]),
    }
    return render(request, "pages/team/audit.html", context)


@require_POST
def team_audit_export(request: DeskRequest) -> StreamingHttpResponse:
    """Send what the search finds as CSV. The export is recorded too."""
    team = managed_team(request)
    matching = _matching(request.POST, request.access)
    asked = {key: value for key, value in request.POST.items() if value and key != "csrfmiddlewaretoken"}
    audit.record(audit.Action.AUDIT_EXPORT, person=request.user, team=team, request=request, detail={"asked": asked})
    # The rows are written once the reader's zone is no longer the active one.
    rows = _rows(matching, timezone.get_current_timezone())
    answer = StreamingHttpResponse(csv_chunks(_HEADINGS, rows), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="audit-{timezone.localdate():%Y-%m-%d}.csv"'
    return answer


def _matching(query: QueryDict, access: Access) -> QuerySet[AuditRecord]:
    if not access.manages:
        raise PermissionDenied
    matching = AuditRecord.objects.filter(access.audited()).select_related("person", "key").order_by("-pk")
    text = query.get("q", "").strip()[:80]
    if text:
        condition = Q(target__icontains=text) | Q(person__username__icontains=text) | Q(address__startswith=text)
        numbers = search.of_number(text)
        matching = matching.filter(
            condition if numbers is None else condition | code_access.about_number(numbers, access)
        )
    elif not query.get("action"):
        # Every code has several, so they are listed only for a number, or for this action.
        matching = matching.exclude(action=audit.Action.READ)
    person = whole_number(query.get("person"))
    if person is not None:
        matching = matching.filter(person=person)
    if query.get("action"):
        matching = matching.filter(action=query["action"])
    if since := day(query.get("since")):
        matching = matching.filter(at__gte=midnight(since))
    if until := day(query.get("until")):
        matching = matching.filter(at__lt=midnight(until + timedelta(days=1)))
    return matching


def _rows(matching: QuerySet[AuditRecord], zone: tzinfo) -> Iterator[list[str]]:
    for record in matching[:MAX_EXPORTED].iterator(chunk_size=1000):
        yield [
            timezone.localtime(record.at, zone).isoformat(timespec="seconds"),
            record.person.username if record.person else "",
            record.action,
            record.target,
            json.dumps(record.detail, ensure_ascii=False),
            record.address or "",
            str(record.key) if record.key else "",
        ]
