"""Whether the files that machines share can be written, read and deleted, for the system page and the alarms."""

from django.conf import settings

from lib.files import shared_files
from rentals.jobs import runs
from rentals.models import JobName, JobRun


def check() -> None:
    """Try the shared files out, and note what came of it. Files of this machine alone are not asked."""
    if not shared_files.are_remote() and settings.FILES_DIR == settings.DATA_DIR:
        JobRun.objects.filter(name=JobName.STORAGE).delete()
        return
    try:
        shared_files.try_out(shared_files.exports())
    except OSError as error:
        runs.note_run(JobName.STORAGE, error=shared_files.reason(error))
    else:
        runs.note_run(JobName.STORAGE)
