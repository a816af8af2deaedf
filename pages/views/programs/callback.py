"""The address that ThueSim posts its results to (API page, section 3.3). Its secret says whose token they are for."""

import ipaddress
import logging
from datetime import timedelta
from http import HTTPStatus

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.core.exceptions import RequestDataTooBig
from django.db import DatabaseError
from django.http import Http404, HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_POST

from accounts.sign_in import throttle
from rentals import enqueue
from rentals.jobs import callbacks
from rentals.models import Callback
from rentals.upstream.callback_addresses import token_of

MAX_BODY_BYTES = 64 * 1024
# For one token: far above what ThueSim sends. Polling finds what is refused here.
MAX_PER_MINUTE = 1200

logger = logging.getLogger(__name__)


@csrf_exempt
@login_not_required
@require_POST
def callback(request: HttpRequest, secret: str) -> HttpResponse:
    """Commit what was posted, apply it, then answer. A wrong secret answers 404, many of them 429."""
    address = _sender(request)
    token = token_of(secret)
    if token is None or not _allowed(address):
        if throttle.too_many_wrong_secrets(request):
            return _too_many()
        raise Http404
    if token.callbacks.filter(at__gt=timezone.now() - timedelta(minutes=1)).count() >= MAX_PER_MINUTE:
        return _too_many()
    body = _read(request)
    if body is None:
        return HttpResponse(status=HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
    # With its parameters: Django's `content_type` has lost the boundary of a form.
    content_type = str(request.META.get("CONTENT_TYPE", ""))
    kept = callbacks.receive_callback(token, body, content_type=content_type, address=address)
    if kept.state == Callback.State.UNREADABLE:
        return HttpResponse("not understood\n", content_type="text/plain", status=HTTPStatus.BAD_REQUEST)
    _apply(kept)
    return HttpResponse("ok\n", content_type="text/plain")


def _too_many() -> HttpResponse:
    return HttpResponse(status=HTTPStatus.TOO_MANY_REQUESTS, headers={"Retry-After": str(throttle.RETRY_SECONDS)})


def _apply(kept: Callback) -> None:
    """Apply it here: the code is on the screens sooner than by way of the broker, and without a worker, too.

    If the database refuses, a worker or the next tick applies it.
    """
    try:
        callbacks.apply_callback(kept)
    except DatabaseError as error:
        logger.warning("callback %s is left to a worker: %s", kept.pk, type(error).__name__)
        enqueue.callback(kept.pk)


def _sender(request: HttpRequest) -> str | None:
    """Return the sender's address without its zone, None for what is no address."""
    try:
        return str(ipaddress.ip_address(request.META.get("REMOTE_ADDR", "").partition("%")[0]))
    except ValueError:
        return None


def _allowed(address: str | None) -> bool:
    """Return whether `DESK_CALLBACK_ALLOW` (addresses and networks) has the sender; an empty list allows every sender."""
    if not settings.CALLBACK_ALLOW:
        return True
    if address is None:
        return False
    sender = ipaddress.ip_address(address)
    return any(sender in ipaddress.ip_network(allowed, strict=False) for allowed in settings.CALLBACK_ALLOW)


def _read(request: HttpRequest) -> bytes | None:
    """Return the body, None where it is longer than `MAX_BODY_BYTES`."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if length.isdigit() and int(length) > MAX_BODY_BYTES:
        return None
    try:
        body = request.read(MAX_BODY_BYTES + 1)
    except RequestDataTooBig:
        return None
    return body if len(body) <= MAX_BODY_BYTES else None
