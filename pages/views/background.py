"""Background work: the exports and imports that a person left running, and the files that came of them."""

import json

from django.contrib import messages
from django.http import FileResponse, Http404, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.desk_request import DeskRequest
from lib.files import shared_files
from lib.files.shared_files import Unreachable
from pages.live import downloads
from pages.presenters.background import with_sentences
from pages.views.exports import CONTENT_TYPES, file_name
from rentals.jobs.background import SENTENCES, export_of, file_of, is_lost, jobs_of, part_of
from rentals.models import BackgroundJob


@require_safe
@never_cache
def background(request: DeskRequest) -> HttpResponse:
    """Show the person's background work; to htmx, which asks while a job is open, the list alone."""
    jobs = jobs_of(request.access)
    may_export = request.access.may_export
    running = [job for job in jobs if job.state == BackgroundJob.State.RUNNING]
    context = {
        "jobs": with_sentences(jobs),
        "any_open": any(job.is_open for job in jobs),
        "growing": [job.pk for job in running if may_export and part_of(job)],
        "no_right": "" if may_export else SENTENCES["no_right"],
    }
    return render(request, "pages/_background.html" if request.htmx else "pages/background.html", context)


@require_safe
@never_cache
def background_file(request: DeskRequest, pk: int) -> FileResponse | HttpResponse:
    """Send an export to the person who asked for it; 404 to others. The request for it was recorded.

    One that a worker still writes is sent by the event loop as it grows (`pages.live.downloads`); where that cannot be, the
    page of background work has it later.
    """
    job = export_of(request.access, pk)
    if job is None:
        raise Http404
    attempt = request.META.get(downloads.ATTEMPT, "")
    if job.is_open or attempt == "again":
        return _growing(request, job, attempt)
    try:
        file = file_of(job)
    except Unreachable:
        messages.error(request, _("The storage of shared files does not answer. Try again in a minute."))
        return redirect("background")
    if file is None and job.state == BackgroundJob.State.FAILED:
        return redirect("background")  # which says why
    if file is None:
        raise Http404
    kind = _kind(job)
    return FileResponse(file, content_type=CONTENT_TYPES[kind], as_attachment=True, filename=file_name(kind))


def _growing(request: DeskRequest, job: BackgroundJob, attempt: str) -> HttpResponse:
    """Tell the event loop where the file grows, whether it is whole, and its last line where it breaks off; send a person
    whose export does not begin to the page that has it later."""
    if not attempt or not shared_files.exports().files_grow:
        return redirect("background")
    path = part_of(job)
    if attempt == "again":
        is_there = not (is_lost(job) or job.state == BackgroundJob.State.FAILED)
        broken = _("INCOMPLETE: the export broke off here. Background work says why, or has all of it.")
    else:
        is_there = path is not None and path.exists() and not is_lost(job)
        # Said where Django does not hand the file out any more, so that nobody can be asked.
        broken = _(
            "INCOMPLETE: the download was broken off here, since you are signed out, work in another team or may not export"
            " any more. The export goes on."
        )
    if attempt == "last" and not is_there:
        sentence = _(
            "The export has not begun yet: others come first, or no worker is running."
            " You find it here as soon as it has, and may leave this page."
        )
        messages.warning(request, sentence)
        return redirect("background")
    kind = _kind(job)
    held = {
        "path": str(path) if path and is_there else "",
        "is_whole": job.state == BackgroundJob.State.DONE,
        "broken": f'\r\n"{broken}"\r\n' if kind == "csv" else "",
    }
    headers = {
        downloads.HEADER: json.dumps(held),
        "Content-Disposition": f'attachment; filename="{file_name(kind)}"',
        "X-Accel-Buffering": "no",
    }
    return HttpResponse(content_type=CONTENT_TYPES[kind], headers=headers)


def _kind(job: BackgroundJob) -> str:
    return "csv" if job.kind == BackgroundJob.Kind.EXPORT_CSV else "xlsx"
