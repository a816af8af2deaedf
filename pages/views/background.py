"""Background work: the exports and imports that a person left running, and the files that came of them."""

from django.contrib import messages
from django.http import FileResponse, Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.http import DeskRequest
from lib.files.shared_files import Unreachable
from pages.views.exports import CONTENT_TYPES, file_name
from rentals.jobs.background import SENTENCES, file_of, jobs_of


@require_safe
@never_cache
def background(request: DeskRequest) -> HttpResponse:
    """Show the person's background work; to htmx, which asks while a job is open, the list alone."""
    jobs = [(job, SENTENCES.get(job.reason, "")) for job in jobs_of(request.access)]
    template = "pages/_background.html" if request.htmx else "pages/background.html"
    return render(request, template, {"jobs": jobs, "any_open": any(job.is_open for job, _sentence in jobs)})


@require_safe
@never_cache
def background_file(request: DeskRequest, pk: int) -> FileResponse | HttpResponseRedirect:
    """Send a finished export to the person who asked for it; 404 to others. The request for it was recorded."""
    try:
        job_and_file = file_of(request.access, pk)
    except Unreachable:
        messages.error(request, _("The storage of shared files does not answer. Try again in a minute."))
        return redirect("background")
    if job_and_file is None:
        raise Http404
    job, file = job_and_file
    kind = job.file.rpartition(".")[2]
    return FileResponse(file, content_type=CONTENT_TYPES[kind], as_attachment=True, filename=file_name(kind))
