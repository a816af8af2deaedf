"""Exports of the history: few rows at once, many in the background."""

from io import BytesIO

from django.core.exceptions import PermissionDenied
from django.http import HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST

from accounts import audit
from accounts.desk_request import DeskRequest
from lib.files import shared_files
from lib.files.spreadsheets import csv_chunks
from rentals.jobs import background, exports
from rentals.models import BackgroundJob
from rentals.queries.filters import HistoryFilter

CONTENT_TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
# Counting stops here: to count ten million takes seconds.
MAX_COUNTED = 100_000
_KINDS = {"csv": BackgroundJob.Kind.EXPORT_CSV, "xlsx": BackgroundJob.Kind.EXPORT_XLSX}


@require_POST
@never_cache
def export(request: DeskRequest, kind: str) -> HttpResponse:
    """Send the rentals that the history shows for the filter in the address. More than `background.MAX_AT_ONCE` are written
    by a worker, and sent from its file as it grows. A POST, since it is recorded and may begin a job; the filter stays in
    the address, as in the history's."""
    team = request.access.team
    if not request.access.may_export or team is None:
        raise PermissionDenied(_("Only a manager may export. Ask a manager of your team."))
    rentals = exports.filtered_rentals(request.access, HistoryFilter.from_query(request.GET))
    count = rentals.order_by()[: MAX_COUNTED + 1].count()
    rows = count if count <= MAX_COUNTED else f"> {MAX_COUNTED}"
    in_background = count > background.MAX_AT_ONCE
    query = request.GET.urlencode()
    detail = {"kind": kind, "rows": rows, "asked": _recorded(request.GET), "background": in_background}
    record = audit.record(
        audit.Action.EXPORT,
        person=request.user,
        team=team,
        target=audit.ALL_RENTALS,
        request=request,
        detail=detail,
    )
    if in_background:
        job = background.begin(_KINDS[kind], person=request.user, team=team, wanted=query, record=record)
        if not shared_files.exports().files_grow:
            return redirect("background")
        return redirect("background_file", job.pk)
    table = exports.rows(rentals, request.access, record)
    if kind == "csv":
        body = "".join(csv_chunks(exports.headings(), table)).encode()
    else:
        file = BytesIO()
        exports.write_xlsx(table, file)
        body = file.getvalue()
    return HttpResponse(
        body,
        content_type=CONTENT_TYPES[kind],
        headers={"Content-Disposition": f'attachment; filename="{file_name(kind)}"'},
    )


def _recorded(query: QueryDict) -> str:
    """Return the query as the audit log keeps it: what is searched for may be a code, which no record holds."""
    kept = query.copy()
    if kept.get("q"):
        kept["q"] = "***"
    return kept.urlencode(safe="*")


def file_name(kind: str) -> str:
    """Return the name that an export of today is saved under."""
    return f"rentals-{timezone.localdate():%Y-%m-%d}.{kind}"
