"""The audit log for a team's managers: searched, page by page, exported."""

import heapq
import json
from collections.abc import Callable, Iterator
from datetime import timedelta, tzinfo
from itertools import groupby, islice
from operator import attrgetter
from typing import Any, NamedTuple

from django.core.exceptions import PermissionDenied
from django.db.models import Max, Min, Q, QuerySet
from django.http import HttpResponse, QueryDict, StreamingHttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts import audit
from accounts.desk_request import DeskRequest
from accounts.models import AuditRecord
from accounts.page_team import FIELD
from accounts.policy import Access
from lib.files.spreadsheets import csv_chunks
from lib.web import query_params
from lib.web.query_params import day, midnight, whole_number
from pages.presenters.audit import details, target
from pages.presenters.options import Kind, options
from pages.views.team import audit_search
from pages.views.team.team import managed_team

PAGE_SIZE = 50
MAX_EXPORTED = 100_000
# So many records at each end of the days tell between which ids all of them are. Ids follow the moments but for machines
# whose clocks differ, and a clock that was set back.
AT_EACH_END = 1000
_OF_THE_FORM = ("csrfmiddlewaretoken", FIELD)
_HEADINGS = ["at", "person", "action", "on what", "detail", "address", "API key"]


@require_safe
@never_cache
def team_audit(request: DeskRequest) -> HttpResponse:
    """Show a page of the audit log, newest first."""
    managed_team(request)
    matching = _matching(request.GET, request.access, before=whole_number(request.GET.get("before")))
    records = list(matching.up_to(PAGE_SIZE + 1))
    query = request.GET.copy()
    query.pop("before", None)
    since, until = day(query.get("since")), day(query.get("until"))
    people = options(request.access, request.GET, (Kind.PERSON,))[Kind.PERSON]
    context = {
        "records": [
            (record, audit.label(record.action), target(record), details(record)) for record in records[:PAGE_SIZE]
        ],
        "next": records[PAGE_SIZE - 1].pk if len(records) > PAGE_SIZE else None,
        "query": query.urlencode(),
        "asked": request.GET,
        "is_backwards": bool(since and until and since > until),
        "people": people,
        "actions": sorted(((value, str(label)) for value, label in audit.Action.choices), key=lambda pair: pair[1]),
    }
    return render(request, "pages/team/audit.html", context)


@require_POST
def team_audit_export(request: DeskRequest) -> StreamingHttpResponse:
    """Send what the search finds as CSV. The export is recorded too."""
    team = managed_team(request)
    matching = _matching(request.POST, request.access)
    asked = {key: value for key, value in request.POST.items() if value and key not in _OF_THE_FORM}
    audit.record(audit.Action.AUDIT_EXPORT, person=request.user, team=team, request=request, detail={"asked": asked})
    # The rows are written once the reader's zone is no longer the active one.
    rows = _rows(matching, timezone.get_current_timezone())
    answer = StreamingHttpResponse(csv_chunks(_HEADINGS, rows), content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="audit-{timezone.localdate():%Y-%m-%d}.csv"'
    return answer


class _Found(NamedTuple):
    """What a search finds: the union of `parts`, each newest first by `newest`. Two parts may have a record in common."""

    parts: list[QuerySet[AuditRecord]]
    newest: Callable[[AuditRecord], Any]

    def up_to(self, count: int, *, chunk_size: int | None = None) -> Iterator[AuditRecord]:
        """Yield the newest records of all parts, each once; read in chunks where there may be many."""
        limited = [part[:count] for part in self.parts]
        parts = [part.iterator(chunk_size) for part in limited] if chunk_size else limited
        merged = heapq.merge(*parts, key=self.newest, reverse=True)
        return islice((record for record, _same in groupby(merged)), count)


def _matching(query: QueryDict, access: Access, *, before: int | None = None) -> _Found:
    """Return what the search finds, past the record with the id `before`.

    A text, a person or an action has an index of its own, in which the ids are in order. All else is read by the index of
    team and time, the team's records apart from its people's sign-ins: with an OR of the two, SQLite reads and sorts the
    whole log.
    """
    if not access.manages:
        raise PermissionDenied
    of_days = _of_days(query)
    matching: QuerySet[AuditRecord] = AuditRecord.objects.select_related("person", "key").filter(of_days)
    text, person, action = query_params.text(query, "q"), whole_number(query.get("person")), query.get("action")
    if not text and not action:
        # Every code has several, so they are listed only for a text, or for this action.
        matching = matching.exclude(action=audit.Action.READ)
    if person is not None:
        matching = matching.filter(person=person)
    if action:
        matching = matching.filter(action=action)
    if text or person is not None or action:
        if of_days:
            matching = matching.filter(pk__range=_ids_between(of_days))
        if before is not None:
            matching = matching.filter(pk__lt=before)
        in_order = matching.order_by("-pk")
        parts = audit_search.parts(text, in_order, access) if text else [in_order.filter(access.any_audited())]
        return _Found(parts, attrgetter("pk"))
    if before is not None:
        at = AuditRecord.objects.filter(pk=before).order_by().values("at")
        # The second condition alone lets the index start at the cursor; the first leaves out what ties with it.
        matching = matching.filter(Q(at__lt=at) | Q(pk__lt=before), at__lte=at)
    # One team, or none, in each: it is named since PostgreSQL orders by the index of both only so.
    parts = [matching.filter(part).order_by("team_id", "-at", "-pk") for part in access.audited()]
    return _Found(parts, attrgetter("at", "pk"))


def _of_days(query: QueryDict) -> Q:
    """Return the condition that a record is of the days that the search asks for; an empty one where it asks for none."""
    of_days = Q()
    if since := day(query.get("since")):
        of_days &= Q(at__gte=midnight(since))
    if until := day(query.get("until")):
        of_days &= Q(at__lt=midnight(until + timedelta(days=1)))
    return of_days


def _ids_between(of_days: Q) -> tuple[int, int]:
    """Return the first and the last id of the records of these days, by the index of time. What is read in the order of the
    ids then begins there: else it would read all that is newer. Two queries."""
    records = AuditRecord.objects.filter(of_days)
    ends = [records.order_by(order)[:AT_EACH_END].aggregate(first=Min("pk"), last=Max("pk")) for order in ("at", "-at")]
    return min(end["first"] or 0 for end in ends), max(end["last"] or 0 for end in ends)


def _rows(matching: _Found, zone: tzinfo) -> Iterator[list[str]]:
    for record in matching.up_to(MAX_EXPORTED, chunk_size=1000):
        yield [
            timezone.localtime(record.at, zone).isoformat(timespec="seconds"),
            record.person.username if record.person else "",
            record.action,
            record.target,
            json.dumps(record.detail, ensure_ascii=False),
            record.address or "",
            str(record.key) if record.key else "",
        ]
