"""One attempt at a delivery: the signed webhook, the message to Telegram or Slack, or the e-mail of a destination.

Webhooks follow Standard Webhooks (https://www.standardwebhooks.com). The others get a few lines for people.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from email.utils import parseaddr
from smtplib import SMTPException
from typing import Any

from django.core.mail import EmailMessage, get_connection
from django.utils import timezone, translation
from django.utils.translation import gettext as _
from standardwebhooks import Webhook

from accounts import mail
from lib.formats import dong
from lib.network import outgoing
from rentals.lifecycle import reasons
from rentals.models import Delivery, Destination, Message, OutgoingEvent
from rentals.models.destinations import TEST

NO_MAIL, MAIL_REFUSED, KEY_LOST = "no mail", "mail refused", "key lost"
TELEGRAM = "https://api.telegram.org"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one attempt: a status of HTTP, or a problem. `answer` has no secret, address or code in it."""

    status: int | None = None
    problem: str = ""
    answer: str = ""

    @property
    def is_delivered(self) -> bool:
        return not self.problem and (self.status is None or 200 <= self.status < 300)

    @property
    def is_gone(self) -> bool:
        return self.status == 410


def send(delivery: Delivery) -> Outcome:
    """Send one delivery, once. Raises nothing that a receiver may cause."""
    destination = delivery.destination
    if not destination.address:
        return Outcome(problem=KEY_LOST)
    message = delivery.message if destination.includes_codes else None
    if destination.kind == Destination.Kind.EMAIL:
        return _send_email(delivery, message)
    url, body, headers = _request(delivery, message)
    try:
        answer = outgoing.post(url, body, {"Content-Type": "application/json", **headers})
    except outgoing.NotSent as error:
        return Outcome(problem=error.problem)
    return Outcome(status=answer.status, answer=_redacted(answer.text, destination, message))


def _request(delivery: Delivery, message: Message | None) -> tuple[str, bytes, dict[str, str]]:
    destination = delivery.destination
    if destination.kind == Destination.Kind.WEBHOOK:
        body = webhook_body(delivery, message)
        return destination.address.reveal(), body.encode(), signed(delivery, body, timezone.now())
    lines = text(delivery, message)
    if destination.kind == Destination.Kind.SLACK:
        # Slack reads &, < and > as its own; Mattermost would call everybody whom a text names with @.
        escaped = lines.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("@", "@\u200b")
        return destination.address.reveal(), json.dumps({"text": escaped}).encode(), {}
    content = {"chat_id": destination.chat, "text": lines[:4096], "disable_web_page_preview": True}
    url = f"{destination.address.reveal().rstrip('/')}/bot{destination.secret.reveal()}/sendMessage"
    return url, json.dumps(content).encode(), {}


def webhook_body(delivery: Delivery, message: Message | None) -> str:
    """Return the JSON of a webhook: `type`, `timestamp` and `data`. With a `message`, its code and text are in it."""
    data = dict(delivery.data)
    if message is not None:
        whole = {"code": message.code, "second_code": message.second_code, "text": message.text}
        data["message"] = {**data.get("message", {}), **whole}
    at = timezone.localtime(delivery.at).isoformat(timespec="milliseconds")
    return json.dumps({"type": delivery.event, "timestamp": at, "data": data}, ensure_ascii=False)


def signed(delivery: Delivery, body: str, at: datetime) -> dict[str, str]:
    """Return the headers of Standard Webhooks; for a while after a replacement with a signature by each secret."""
    secrets = delivery.destination.signing_secrets
    return {
        "webhook-id": delivery.webhook_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": " ".join(Webhook(secret).sign(delivery.webhook_id, at, body) for secret in secrets),
    }


def text(delivery: Delivery, message: Message | None) -> str:
    """Return a delivery as lines for people, in the destination's language: what happened, then to what."""
    with translation.override(delivery.destination.language):
        if delivery.event == TEST:
            return _("ThueSim Desk: this is a test. Events of the team %(team)s come here.") % {
                "team": delivery.data["team"]["name"]
            }
        title = str(OutgoingEvent(delivery.event).label)
        lines = [title[:1].upper() + title[1:], *_lines(delivery.data)]
        if message is not None:
            lines += [_code_line(message)] if message.text or message.code else []
            lines += [message.text] if message.text else []
        return "\n".join(line for line in lines if line)


def _code_line(message: Message) -> str:
    """Return the message's code in words: all of them where it names several and none stands out."""
    codes = ", ".join(message.equal_codes) or message.code
    return f"{_('Code')}: {codes}" if codes else _("no code recognised: read the message").capitalize()


def _lines(data: dict[str, Any]) -> Iterable[str]:
    if rental := data.get("rental"):
        yield (
            f"{rental['service']['name']} · {rental['phone']['national']}"
            if rental["phone"]
            else rental["service"]["name"]
        )
        yield " · ".join(filter(None, [rental["person"] and rental["person"]["name"], rental["purpose"]]))
        yield dong(rental["price"])
        yield reasons.sentence(rental["reason"])
    if token := data.get("token"):
        yield f"{_('Token')}: {token['name']}"
    if "balance" in data:
        yield f"{dong(data['balance'])} < {dong(data['warn_below'])}"
    if "budget" in data:
        is_money = data["budget"] != "person_rentals"
        used, most = (dong(data[name]) if is_money else str(data[name]) for name in ("used", "most"))
        yield data["person"]["name"] if data["person"] else ""
        yield _("%(used)s of %(most)s used") % {"used": used, "most": most}


def _send_email(delivery: Delivery, message: Message | None) -> Outcome:
    if not mail.is_set_up():
        return Outcome(problem=NO_MAIL)
    lines = text(delivery, message)
    email = EmailMessage(f"ThueSim Desk: {lines.splitlines()[0]}", lines + "\n", to=[_to(delivery.destination)])
    email.extra_headers["Message-ID"] = f"<{delivery.webhook_id}@thuesim-desk>"
    try:
        email.connection = get_connection(timeout=outgoing.TIMEOUT_SECONDS)
        email.send()
    except (OSError, SMTPException):  # its text may name the recipient
        return Outcome(problem=MAIL_REFUSED)
    return Outcome()


def _to(destination: Destination) -> str:
    return parseaddr(destination.address.reveal())[1]


def _redacted(answer: str, destination: Destination, message: Message | None) -> str:
    """Take out of an answer what it may repeat of ours. Where a code went out, no digit stays: it may be spelt anyhow."""
    hidden = [destination.address.reveal(), *destination.signing_secrets]
    hidden += [part for part in re.split(r"[/?&=]", destination.address.reveal()) if len(part) >= 8]
    if message is not None:
        hidden += [message.code, message.second_code, message.text, json.dumps(message.text)[1:-1]]
        hidden += [word for word in message.text.split() if len(word) >= 4]
    for secret in sorted(filter(None, hidden), key=len, reverse=True):
        answer = re.sub(re.escape(secret), "…", answer, flags=re.IGNORECASE)
    return re.sub(r"\d", "•", answer) if message is not None else answer
