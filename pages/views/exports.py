"""Exports of the history, and the list of long work that a person left running."""

from io import BytesIO

from django.core.exceptions import PermissionDenied
from django.http import FileResponse, Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts import audit
from accounts.http import DeskRequest
from lib.spreadsheets import csv_chunks
from rentals.jobs import background, exports
from rentals.models import BackgroundJob
from rentals.queries.filters import HistoryFilter

TYPES = {
    "csv": "text/csv; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}
_KINDS = {"csv": BackgroundJob.Kind.EXPORT_CSV, "xlsx": BackgroundJob.Kind.EXPORT_XLSX}


@require_safe
@never_cache
def export(request: DeskRequest, kind: str) -> HttpResponse:
    """Hand out what the history shows for the filter in the address; many rows are made in the background."""
    team = request.access.team
    if not request.access.may_export or team is None:
        raise PermissionDenied(_("Only a manager may export. Ask a manager of your team."))
    wanted = HistoryFilter.from_query(request.GET)
    found = exports.filtered_rentals(request.access, wanted)
    count = found.order_by().count()
    in_background = count > background.MAX_AT_ONCE
    query = request.GET.urlencode()
    detail = {"kind": kind, "rows": count, "asked": query, "background": in_background}
    audit.record(
        audit.Action.EXPORT,
        person=request.user,
        team=team,
        target=audit.ALL_RENTALS,
        request=request,
        detail=detail,
    )
    if in_background:
        background.begin(_KINDS[kind], person=request.user, team=team, wanted=query)
        return redirect("background_jobs")
    table = exports.rows(found, request.access)
    if kind == "csv":
        body = "".join(csv_chunks(exports.headings(), table)).encode()
    else:
        file = BytesIO()
        exports.write_xlsx(table, file, scratch=background.folder())
        body = file.getvalue()
    return HttpResponse(
        body, content_type=TYPES[kind], headers={"Content-Disposition": f'attachment; filename="{_file_name(kind)}"'}
    )


@require_safe
@never_cache
def background_jobs(request: DeskRequest) -> HttpResponse:
    """Show the person's long work; to htmx, which asks while something is at work, the list alone."""
    found = [(job, background.SENTENCES.get(job.reason, "")) for job in background.jobs_of(request.access)]
    template = "pages/_background.html" if request.htmx else "pages/background.html"
    context = {"jobs": found, "any_open": any(job.is_open for job, _ in found)}
    return render(request, template, context)


@require_safe
@never_cache
def background_file(request: DeskRequest, pk: int) -> FileResponse:
    """Hand out a finished export to the person who asked for it."""
    found = background.file_of(request.access, pk)
    if found is None:
        raise Http404
    job, path = found
    kind = path.suffix.removeprefix(".")
    team, target = request.access.team, audit.about(job)
    audit.record(audit.Action.EXPORT, person=request.user, team=team, target=target, request=request)
    return FileResponse(path.open("rb"), content_type=TYPES[kind], as_attachment=True, filename=_file_name(kind))


def _file_name(kind: str) -> str:
    return f"rentals-{timezone.localdate():%Y-%m-%d}.{kind}"
