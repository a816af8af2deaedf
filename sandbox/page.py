"""The sandbox's own web page: the newest rentals, each with a form to send it a message, for trying the desk by hand."""

from html import escape
from urllib.parse import parse_qs

from sandbox.books import EXPIRED, RECEIVED, WAITING, Rental
from sandbox.http_wire import HTML, Reply, Request
from sandbox.messages import code_in
from sandbox.payloads import in_vietnam
from sandbox.rules import Rules

MAX_RENTALS = 50
_STATUSES = {WAITING: "waiting", RECEIVED: "received", EXPIRED: "expired"}
_NOTICES = {
    "sent": "The message was sent.",
    "expired": "The rental has expired.",
    "empty": "Write a message first.",
    "missing": "This rental no longer exists.",
}
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'",
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
}
_STYLE = """
:root { color-scheme: light dark; --quiet: light-dark(#57606a, #9aa4af); --line: light-dark(#d0d7de, #3d444d) }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; margin: 0 0 .25rem } p { color: var(--quiet); margin: .25rem 0 1.25rem }
.notice { border: 1px solid var(--line); border-radius: .5rem; padding: .5rem .75rem; color: inherit }
article { border: 1px solid var(--line); border-radius: .6rem; padding: .75rem 1rem; margin: 0 0 .75rem }
header { display: flex; flex-wrap: wrap; gap: .25rem 1rem; align-items: baseline }
header b { font-size: 1.15rem; font-variant-numeric: tabular-nums }
header span { color: var(--quiet) } .status { margin-left: auto; font-weight: 600; color: inherit }
blockquote { margin: .5rem 0 0; padding-left: .75rem; border-left: 3px solid var(--line); overflow-wrap: anywhere }
form { display: inline-flex; flex-wrap: wrap; gap: .5rem; margin: .6rem .5rem 0 0; align-items: center }
form.send { display: flex; margin-right: 0 }
input[name=text] { flex: 1 1 18rem; min-width: 0 }
input, button { font: inherit; padding: .35rem .6rem; border: 1px solid var(--line); border-radius: .4rem }
button { cursor: pointer }
"""


class Page:
    """Answers `/`, and the posts of its forms to `/send` and `/expire`."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules

    def answer(self, request: Request) -> Reply:
        """The page, or for a form a redirect to it with a notice: `/?said=` and a key of `_NOTICES`."""
        if request.method == "GET" and not request.is_foreign:
            return Reply(self._html(request.query.get("said", "")).encode(), 200, HTML, _HEADERS)
        if request.method != "POST" or request.is_foreign:
            return Reply(b"", 403, HTML)
        form = {name: values[0] for name, values in parse_qs(request.body.decode("utf-8", "replace")).items()}
        try:
            notice = self._submit(request.path, form)
        except LookupError:
            notice = "missing"
        return Reply(b"", 303, HTML, {"Location": f"/?said={notice}"})

    def _submit(self, path: str, form: dict[str, str]) -> str:
        rental_id, text = form.get("id", ""), form.get("text", "").strip()
        if path == "/expire":
            self._rules.expire(rental_id)
            return "expired"
        if not text:
            return "empty"
        self._rules.deliver(rental_id, text, form.get("code", "").strip() or code_in(text), "call" in form)
        return "sent"

    def _html(self, notice: str) -> str:
        with self._rules.transaction() as now:
            newest = list(self._rules.books.rentals.values())[: -MAX_RENTALS - 1 : -1]
            cards = "".join(_card(rental, now) for rental in newest)
        notice_html = f'<p class="notice" role="status">{_NOTICES[notice]}</p>' if notice in _NOTICES else ""
        nothing_yet = "<p>No number has been rented yet. Rent one at the desk, then reload this page.</p>"
        return (
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8">'
            '<meta name="viewport" content="width=device-width, initial-scale=1">'
            f"<title>ThueSim sandbox</title><style>{_STYLE}</style></head><body><main>"
            "<h1>ThueSim sandbox</h1><p>A stand-in for the real service: no SIM card, no money. Messages arrive by "
            'themselves after some seconds; below you can send one now. <a href="/">Reload</a></p>'
            f"{notice_html}{cards or nothing_yet}</main></body></html>"
        )


def _card(rental: Rental, now: float) -> str:
    status = rental.status(now)
    status_text = _STATUSES[status]
    if status == WAITING:
        status_text += f", {max(0, round(rental.expires - now))} s left"
    created = in_vietnam(rental.created).strftime("%H:%M:%S")
    phone = f"0{rental.phone[:3]} {rental.phone[3:6]} {rental.phone[6:]}"
    texts = "".join(f"<blockquote>{escape(message.text)}</blockquote>" for message in rental.arrived(now))
    id_field = f'<input type="hidden" name="id" value="{escape(rental.id)}">'
    example = f"{rental.number % 900_000 + 100_000} is your {rental.service_name} code." if status != RECEIVED else ""
    send_form = (
        f'<form class="send" method="post" action="/send">{id_field}'
        f'<input name="text" aria-label="Message to {phone}" placeholder="Message" value="{escape(example)}">'
        '<label><input type="checkbox" name="call"> as a voice call</label><button>Send now</button></form>'
    )
    expire_form = f'<form method="post" action="/expire">{id_field}<button>Expire now</button></form>'
    return (
        f'<article data-rental-id="{escape(rental.id)}" data-status="{_STATUSES[status]}"><header><b>{phone}</b>'
        f"<span>{escape(rental.service_name)}</span><span>{escape(rental.network)}</span><span>{rental.price} ₫</span>"
        f'<span>{created}</span><span class="status">{status_text}</span></header>{texts}{send_form}'
        f"{expire_form if status == WAITING else ''}</article>"
    )
