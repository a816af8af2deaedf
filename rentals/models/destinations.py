"""Where a team's events go, and the outbox: each event is a row until it was delivered."""

import base64
import secrets
import uuid
from typing import Any
from urllib.parse import urlsplit

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from lib.encryption import EncryptedField, Secret
from rentals.models.rentals import Message, Rental


class OutgoingEvent(models.TextChoices):
    """What a destination may be told. The values go out, and never change."""

    NUMBER = "rental.number", _("a number was rented")
    CODE = "rental.code", _("a message came")
    EXPIRED = "rental.expired", _("a number expired without a code")
    REFUSED = "rental.refused", _("an order got no number")
    REFUNDED = "rental.refunded", _("a price was refunded")
    BALANCE_LOW = "balance.low", _("a balance fell below the team's limit")
    BUDGET_WARNING = "budget.warning", _("a budget is nearly used up, or is")
    TOKEN_REFUSED = "token.refused", _("ThueSim refused a token")
    UPSTREAM_DOWN = "upstream.down", _("ThueSim does not answer")
    UPSTREAM_BACK = "upstream.back", _("ThueSim answers again")


# Sent by the button of a destination's page; no event that can be chosen.
TEST = "test"


def new_signing_secret() -> Secret:
    """Return a new secret in the form of Standard Webhooks."""
    return Secret("whsec_" + base64.b64encode(secrets.token_bytes(32)).decode())


class Destination(models.Model):
    """Where some of a team's events go.

    `address` is the URL of a webhook or of Slack, the e-mail address, or the server of Telegram's Bot API. `secret` signs
    the requests of a webhook, and is the bot's token of Telegram; it is empty for the others. A webhook's requests are
    signed with `old_secret` too until `old_secret_until`.
    """

    class Kind(models.TextChoices):
        WEBHOOK = "webhook", "Webhook"
        TELEGRAM = "telegram", "Telegram"
        SLACK = "slack", "Slack / Mattermost"
        EMAIL = "email", _("E-mail")

    class OffReason(models.TextChoices):
        MANAGER = "manager", _("switched off by a manager")
        GONE = "gone", _("it answered that it is gone for good (410)")
        FAILING = "failing", _("nothing could be delivered for five days")

    team = models.ForeignKey("accounts.Team", on_delete=models.CASCADE, related_name="+", verbose_name=_("team"))
    kind = models.CharField(_("kind"), max_length=10, choices=Kind)
    name = models.CharField(_("name"), max_length=80)
    address = EncryptedField(_("address"))
    chat = models.CharField(_("chat"), max_length=80, blank=True)
    secret = EncryptedField(_("secret"), blank=True)
    old_secret = EncryptedField(blank=True)
    old_secret_until = models.DateTimeField(null=True, blank=True)
    events: "models.JSONField[Any, Any]" = models.JSONField(_("events"), default=list)  # values of `OutgoingEvent`
    services: "models.JSONField[Any, Any]" = models.JSONField(_("services"), default=list, blank=True)  # `Service.key`
    person = models.ForeignKey(
        "accounts.User", on_delete=models.CASCADE, null=True, blank=True, related_name="+", verbose_name=_("person")
    )
    includes_codes = models.BooleanField(_("codes and texts are sent"), default=False)
    language = models.CharField(max_length=10)
    off_reason = models.CharField(max_length=10, choices=OffReason, blank=True)  # empty: it is switched on
    off_at = models.DateTimeField(null=True, blank=True)
    failing_since = models.DateTimeField(null=True, blank=True)
    # One worker sends to it at a time: until then, unless it says otherwise.
    busy_until = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("destination")
        verbose_name_plural = _("destinations")
        ordering = ["name", "pk"]
        indexes = [models.Index(fields=["team"], condition=Q(off_reason=""), name="destination_on")]

    def __str__(self) -> str:
        return self.name

    @property
    def is_on(self) -> bool:
        return not self.off_reason

    @property
    def shown_address(self) -> str:
        """What may be shown of the address: the host alone of a URL, since its path may be the key to it."""
        if self.kind == self.Kind.EMAIL:
            return str(self.address.reveal())
        if self.kind == self.Kind.TELEGRAM:
            return self.chat
        parts = urlsplit(self.address.reveal())
        return f"{parts.scheme}://{parts.netloc}/…"

    @property
    def signing_secrets(self) -> list[str]:
        """The secrets that sign now, the newest first."""
        replaced = self.old_secret_until is not None and self.old_secret_until > timezone.now()
        return [str(one.reveal()) for one in (self.secret, self.old_secret if replaced else None) if one]

    def wants(self, event: str, *, service: str = "", person: int | None = None) -> bool:
        """Whether it is told of an event about a rental for a service (its key) by a person, or about neither."""
        return (
            event in self.events
            and (not service or not self.services or service in self.services)
            and (not service or self.person_id is None or self.person_id == person)
        )


def new_webhook_id() -> str:
    return f"msg_{uuid.uuid4().hex}"


class Delivery(models.Model):
    """One event for one destination, written in the transaction of the event.

    `data` is what happened, as it was then, without codes and texts: those are read from `message` when it is sent, and
    only where the destination has codes switched on then. After `drop_after` it is not sent any more.
    """

    class State(models.TextChoices):
        PENDING = "pending", _("to be sent")
        DELIVERED = "delivered", _("delivered")
        FAILED = "failed", _("given up")
        DROPPED = "dropped", _("not sent: the number's time is over")

    # Without an index of its own: another one begins with it.
    destination = models.ForeignKey(Destination, on_delete=models.CASCADE, related_name="deliveries", db_index=False)
    webhook_id = models.CharField(max_length=40, unique=True, default=new_webhook_id, editable=False)
    event = models.CharField(max_length=20)  # an `OutgoingEvent`, or `TEST`
    at = models.DateTimeField(_("at"), db_index=True)
    data: "models.JSONField[Any, Any]" = models.JSONField(default=dict)
    rental = models.ForeignKey(Rental, on_delete=models.CASCADE, null=True, blank=True, related_name="deliveries")
    message = models.ForeignKey(Message, on_delete=models.SET_NULL, null=True, blank=True, related_name="+")
    drop_after = models.DateTimeField(null=True, blank=True)

    state = models.CharField(max_length=10, choices=State, default=State.PENDING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_try = models.DateTimeField()
    tried_at = models.DateTimeField(null=True, blank=True)
    status = models.PositiveSmallIntegerField(null=True, blank=True)  # of HTTP
    problem = models.CharField(max_length=20, blank=True)  # a `lib.network.outgoing.Problem`, or of e-mail
    milliseconds = models.PositiveIntegerField(null=True, blank=True)
    answer = models.TextField(blank=True)  # its first kilobyte, redacted

    class Meta:
        verbose_name = _("delivery")
        verbose_name_plural = _("deliveries")
        ordering = ["-pk"]
        indexes = [
            models.Index(fields=["next_try"], condition=Q(state="pending"), name="delivery_due"),
            models.Index(fields=["destination", "-id"], name="delivery_log"),
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {self.event}"
