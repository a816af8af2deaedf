"""Where ThueSim posts its results (API page, section 3.3). The address is the secret."""

import ipaddress
from datetime import timedelta
from http import HTTPStatus

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import RequestDataTooBig
from django.db.models import Q
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from lib.encryption import digest
from rentals import enqueue
from rentals.jobs import callbacks
from rentals.models import Callback, CallbackAddress, Token

LONGEST_BODY_BYTES = 64 * 1024
# Of one token: far above what ThueSim sends. What is refused here, polling finds.
MOST_PER_MINUTE = 1200


@csrf_exempt
@login_not_required
@require_POST
def callback(request: HttpRequest, secret: str) -> HttpResponse:
    """Keep what was posted, committed, and answer; a worker applies it. A wrong secret is an address that is not there."""
    address = request.META.get("REMOTE_ADDR") or None
    token = _token_behind(secret)
    if token is None or not _allowed(address):
        raise Http404
    if token.callbacks.filter(at__gt=timezone.now() - timedelta(minutes=1)).count() >= MOST_PER_MINUTE:
        return HttpResponse(status=HTTPStatus.TOO_MANY_REQUESTS, headers={"Retry-After": "60"})
    body = _read(request)
    if body is None:
        return HttpResponse(status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    kept = callbacks.receive_callback(token, body, content_type=request.content_type or "", address=address)
    if kept.state == Callback.State.UNREADABLE:
        return HttpResponse("not understood\n", content_type="text/plain", status=HTTPStatus.BAD_REQUEST)
    enqueue.callback(kept.pk)
    return HttpResponse("ok\n", content_type="text/plain")


def _token_behind(secret: str) -> Token | None:
    """Find the token by the digest of the secret: how long that takes tells nothing of the secret itself."""
    valid = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
    found = CallbackAddress.objects.filter(valid, secret_digest=digest(secret)).select_related("token").first()
    return found.token if found else None


def _allowed(address: str | None) -> bool:
    """Whether `DESK_CALLBACK_ALLOW` (addresses and networks) lets this sender through; an empty list lets everybody."""
    if not settings.CALLBACK_ALLOW:
        return True
    if address is None:
        return False
    sender = ipaddress.ip_address(address)
    return any(sender in ipaddress.ip_network(allowed, strict=False) for allowed in settings.CALLBACK_ALLOW)


def _read(request: HttpRequest) -> bytes | None:
    """Return the body, None where it is longer than any callback."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if length.isdigit() and int(length) > LONGEST_BODY_BYTES:
        return None
    try:
        body = request.read(LONGEST_BODY_BYTES + 1)
    except RequestDataTooBig:
        return None
    return body if len(body) <= LONGEST_BODY_BYTES else None
