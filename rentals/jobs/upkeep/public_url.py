"""The check of the public address that an admin asks for: the desk asks itself, and keeps what it found."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from lib.network.public_url import examine
from rentals import enqueue
from rentals.models import PublicUrlCheck

THE_ROW = 1  # there is one public address, and one last check of it
PAUSE = timedelta(seconds=30)  # between two checks, for all people together


def ask() -> bool:
    """Have a worker check the address soon. False where one was asked for just now."""
    now = timezone.now()
    with transaction.atomic():
        _row, is_new = PublicUrlCheck.objects.get_or_create(pk=THE_ROW, defaults={"asked_at": now})
        old = Q(asked_at__lt=now - PAUSE) | Q(asked_at__gt=now + PAUSE)  # the second: the clock was set back
        asked = is_new or PublicUrlCheck.objects.filter(old, pk=THE_ROW).update(asked_at=now, begun_at=None)
        if asked:
            enqueue.check_public_url(THE_ROW)
    return bool(asked)


def due_checks() -> list[int]:
    """Return the checks that no worker has begun."""
    return list(PublicUrlCheck.objects.filter(begun_at=None).values_list("pk", flat=True))


def check(pk: int) -> None:
    """Check the address, unless another worker does. Takes up to a minute."""
    begun = timezone.now()
    checks = PublicUrlCheck.objects.filter(pk=pk)
    if not checks.filter(begun_at=None).update(begun_at=begun):
        return
    url = settings.PUBLIC_URL
    findings = [finding.as_json() for finding in examine(url)] if url else []
    checks.filter(begun_at=begun).update(done_at=timezone.now(), url=url, findings=findings)
