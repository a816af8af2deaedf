"""A program: a page, a task and a log line fail with secrets in hand, while errors go to Sentry. For `test_sentry`.

`python -m thuesim_site.tests.failing_desk SECRET …`: the secrets are a phone number, a code, a text, an e-mail address and a
token.
"""

import logging
import sys
from typing import Any
from urllib.parse import urlencode

import django
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt


@csrf_exempt
@login_not_required
def fail(request: HttpRequest, secret: str) -> HttpResponse:
    """A page that fails with all of it in its variables and in its exception."""
    form = dict(request.POST.items())
    try:
        raise ValueError(f"Key (phone)=({form['phone']}) {form['text']}")
    except ValueError as error:
        raise RuntimeError(f"{form['email']} {form['code']} {form['token']} {secret}") from error


def main(phone: str, code: str, text: str, email: str, token: str) -> None:
    """Fail in each way, and wait until all is sent."""
    django.setup()
    import sentry_sdk
    from celery import shared_task
    from django.db import DatabaseError, connection
    from django.urls import path

    from thuesim_site import sentry, urls
    from thuesim_site.celery import app
    from thuesim_site.serving.wsgi_threads import django_response
    from thuesim_site.wsgi import application

    sentry.start(release="9.9.9")
    urls.urlpatterns.insert(0, path("callback/<str:secret>/fail/", fail))  # type: ignore[arg-type]
    fields = {"phone": phone, "code": code, "text": text, "email": email, "token": token}
    headers = {"host": "127.0.0.1", "authorization": f"Bearer {token}", "cookie": f"a={token}"}
    headers["content-type"] = "application/x-www-form-urlencoded"
    scope = {
        "method": "POST",
        "path": f"/callback/{token}/fail/",
        "query_string": f"q={phone}".encode(),
        "http_version": "1.1",
    }
    scope["headers"] = [(name.encode(), value.encode()) for name, value in headers.items()]
    start, response = django_response(application, scope, urlencode(fields).encode())
    assert start["status"] == 500
    response.close()

    @shared_task(name="tests.fail")
    def failing(*args: Any) -> None:
        raise LookupError(" ".join(args))

    app.conf.task_always_eager = True
    failing.apply_async(args=tuple(fields.values()))
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT '{text}' FROM no_table WHERE phone = %s", [phone])
    except DatabaseError:
        logging.getLogger("rentals").exception("reading %s failed for %s", text, phone)
    logging.getLogger("rentals").error("no code %s for %s in %s", code, phone, text)
    logging.getLogger("rentals").error(f"the number {phone} of {email} has {code}")  # noqa: G004 - it is the point
    sentry_sdk.flush(20)


if __name__ == "__main__":
    main(*sys.argv[1:])
