"""Background work in the reader's words: why a job waits, has no progress, or failed."""

from collections.abc import Iterable, Mapping

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from rentals.jobs import background
from rentals.jobs.background import Limit
from rentals.models import BackgroundJob

# A worker gives a sign of life every two seconds; while it counts very many rows, it gives none for longer.
QUIET_SECONDS = 10
_LIMITS: Mapping[Limit, Promise] = {
    Limit.OF_ONE: gettext_lazy("Waiting for another of your exports: %(count)s of one person are made at a time."),
    Limit.OF_ALL: gettext_lazy("Waiting for other exports: %(count)s are made at a time."),
    Limit.IMPORTS: gettext_lazy("Waiting for another import: one is made at a time."),
}


def with_sentences(jobs: Iterable[BackgroundJob]) -> list[tuple[BackgroundJob, str]]:
    """Return each job with what is to be said of it, `""` where its state says all. One query, where a job waits."""
    jobs = list(jobs)
    is_any_waiting = any(job.state == BackgroundJob.State.WAITING for job in jobs)
    under_way = background.under_way() if is_any_waiting else []
    return [(job, _sentence(job, under_way)) for job in jobs]


def _sentence(job: BackgroundJob, under_way: list[tuple[str, int]]) -> str:
    match job.state:
        case BackgroundJob.State.WAITING:
            return _waiting(background.limit_met(job, under_way))
        case BackgroundJob.State.RUNNING:
            return _quiet(background.silent_seconds(job))
    return str(background.SENTENCES.get(job.reason, ""))


def _waiting(limit: Limit | None) -> str:
    if limit is None:
        return ""
    count = background.MAX_EXPORTS_OF_ONE if limit == Limit.OF_ONE else background.MAX_EXPORTS
    return str(_LIMITS[limit]) % {"count": count}


def _quiet(seconds: int) -> str:
    if seconds < QUIET_SECONDS:
        return ""
    numbers = {"seconds": seconds, "lost": background.LOST_SECONDS}
    return _("Nothing heard of its worker for %(seconds)s seconds: after %(lost)s another one begins anew.") % numbers
