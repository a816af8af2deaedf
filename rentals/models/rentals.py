"""A rental, its messages and its timeline."""

from collections.abc import Iterable
from datetime import datetime
from enum import StrEnum
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from django.db import models
from django.db.models import Q
from django.db.models.functions import Coalesce
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from lib import announce
from lib.files import shared_files
from rentals.models.catalog import Service
from rentals.models.tokens import Token
from thuesim import codes, limits

if TYPE_CHECKING:
    from accounts.policy import Access


class Status(models.TextChoices):
    """Where a rental stands. `rentals.lifecycle` has the state diagram, and alone changes it."""

    QUEUED = "queued", _("in the queue")
    PLACING = "placing", _("placing the order")
    WAITING = "waiting", _("waiting for the code")
    RECEIVED = "received", _("code received")
    EXPIRED = "expired", _("expired without a code")
    REFUSED = "refused", _("not rented")
    UNCONFIRMED = "unconfirmed", _("being checked")
    CANCELLED = "cancelled", _("cancelled")

    @classmethod
    def open(cls) -> tuple["Status", ...]:
        """Return the statuses in which something may still happen by itself."""
        return (cls.QUEUED, cls.PLACING, cls.UNCONFIRMED, cls.WAITING)

    @classmethod
    def holding_a_place(cls) -> tuple["Status", ...]:
        """Return the statuses that count against a token's waiting limit."""
        return (cls.PLACING, cls.UNCONFIRMED, cls.WAITING)


# By which people and keys are shown beside a rental.
_NAMES = (
    "person__first_name",
    "person__last_name",
    "person__username",
    "ordered_by__first_name",
    "ordered_by__last_name",
    "ordered_by__username",
    "api_key__name",
)


def _columns(model: Any) -> list[str]:
    return [field.name for field in model._meta.concrete_fields]


class RentalQuerySet(models.QuerySet["Rental"]):
    def visible_to(self, access: "Access") -> "RentalQuerySet":
        """The rentals of the team that the person is working in."""
        return self.filter(team=access.team_id) if access.team_id is not None else self.none()

    def with_payer(self) -> "RentalQuerySet":
        """Annotate `payer`, the key of the person who ordered and paid; None for what was rented elsewhere."""
        return self.annotate(payer=Coalesce("ordered_by_id", "person_id"))

    def paid_by(self, person_id: int) -> "RentalQuerySet":
        """The rentals that the person ordered, also those that they handed over since."""
        return self.filter(Q(ordered_by=person_id) | Q(ordered_by=None, person=person_id))

    def with_refund(self, **limits: Any) -> "RentalQuerySet":
        """Annotate `refunded`, in đồng: None where nothing was. A rental has one refund at most, so no row is doubled.
        `limits` of the booked lines are conditions that hold for all of these rentals."""
        condition = Q(ledger__kind="refund", ledger__taken_back=False, **limits)
        refund = models.FilteredRelation("ledger", condition=condition)
        return self.annotate(refund=refund, refunded=models.F("refund__amount"))

    def for_cards(self) -> "RentalQuerySet":
        """Fetch all that a card shows, in two queries: of people and API keys the names alone."""
        related = {"service": Service, "token": Token, "team": self.model._meta.get_field("team").related_model}
        whole = [f"{name}__{column}" for name, model in related.items() for column in _columns(model)]
        return (
            self.with_refund()
            .select_related(*related, "person", "ordered_by", "api_key")
            .only(*_columns(self.model), *whole, *_NAMES)
            .prefetch_related("messages")
        )

    def for_board(self, access: "Access", *, with_tokens: bool) -> "list[Rental]":
        """Return the rentals of the person's team as `for_cards` does, in two queries.

        The team is known already, and only an order in the queue shows its token: the two are half of what is fetched
        for many rentals.
        """
        related = {"service": Service, **({"token": Token} if with_tokens else {})}
        whole = [f"{name}__{column}" for name, model in related.items() for column in _columns(model)]
        rentals = self.with_refund().select_related(*related, "person", "ordered_by", "api_key")
        messages = models.Prefetch("messages", to_attr="prefetched_messages")
        shown = list(rentals.only(*_columns(self.model), *whole, *_NAMES).prefetch_related(messages))
        for rental in shown:
            if access.team and rental.team_id == access.team.pk:
                rental.team = access.team
        return shown

    def for_rows(self) -> "RentalQuerySet":
        """Fetch what a row of the history shows and nothing else, in two queries."""
        messages = models.Prefetch("messages", Message.objects.defer("audio_url"), to_attr="prefetched_messages")
        shown = [
            "team",
            "status",
            "purpose",
            "phone",
            "network",
            "price",
            "agreed_price",
            "max_price",
            "team_max_price",
            "unasked",
            "reason",
            "upstream_key",
            "networks",
            "prefixes",
            "exclude_prefixes",
            "again_of",
        ]
        times = ["queued_at", "expires_at", "received_at", "ended_at"]
        names = [
            "team__max_price",
            "service__name",
            "service__price",
            "service__active",
            *_NAMES,
        ]
        return (
            self.with_refund()
            .select_related("service", "person", "ordered_by", "team", "api_key")
            .only(*shown, *times, *names)
            .prefetch_related(messages)
        )


class PriceLimit(NamedTuple):
    """The most that a number might cost, in đồng. `of` says whose limit it is: "order", set by the person; "shown", the
    price that they saw; or "team", set by a manager.
    """

    of: str
    amount: int | None


class Rental(models.Model):
    """One order for one number, and its outcome. Prices are whole đồng, phones are E.164."""

    # Without an index of their own, here, at the person and at the token: others begin with them.
    team = models.ForeignKey(
        "accounts.Team", on_delete=models.PROTECT, related_name="rentals", db_index=False, verbose_name=_("team")
    )
    person = models.ForeignKey(
        "accounts.User",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="rentals",
        db_index=False,
        verbose_name=_("person"),
    )
    # Who ordered and paid it, where it was handed over to `person` since.
    ordered_by = models.ForeignKey(
        "accounts.User",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=_("ordered by"),
    )
    # The API key with which it was ordered.
    api_key = models.ForeignKey(
        "accounts.ApiKey",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=_("API key"),
    )
    token = models.ForeignKey(
        Token, on_delete=models.PROTECT, related_name="rentals", db_index=False, verbose_name=_("token")
    )
    token_pinned = models.BooleanField(default=False)
    service = models.ForeignKey(Service, on_delete=models.PROTECT, related_name="rentals", verbose_name=_("service"))
    status = models.CharField(_("status"), max_length=12, choices=Status, default=Status.QUEUED)
    purpose = models.CharField(_("purpose"), max_length=120, blank=True)
    imported = models.BooleanField(_("imported"), default=False)

    # What was ordered. Prefixes are without the leading 0.
    networks = models.JSONField(_("networks requested"), default=list, blank=True)
    prefixes = models.JSONField(_("prefixes requested"), default=list, blank=True)
    exclude_prefixes = models.JSONField(_("prefixes excluded"), default=list, blank=True)
    again_of = models.ForeignKey(
        "self",
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="again",
        db_index=False,
        verbose_name=_("rented again from"),
    )
    # The catalog's price that was shown, the most that the person would pay, and the most that the team allowed when the
    # order was taken, then when it was sent or refused. In đồng; None of the team where it had no limit, or none was kept.
    agreed_price = models.PositiveIntegerField(null=True, blank=True)
    max_price = models.PositiveIntegerField(null=True, blank=True)
    team_max_price = models.PositiveIntegerField(null=True, blank=True)
    keep_trying_until = models.DateTimeField(_("keep trying until"), null=True, blank=True)

    # What was rented. `upstream_id` is exactly as ThueSim gave it; `upstream_key` is the part before its dot.
    upstream_id = models.CharField("ID", max_length=limits.MAX_ID_LENGTH, blank=True)
    upstream_key = models.CharField(max_length=limits.MAX_ID_LENGTH, blank=True)
    phone = models.CharField(_("phone"), max_length=limits.MAX_PHONE_LENGTH, blank=True)
    network = models.CharField(_("network"), max_length=limits.MAX_NETWORK_LENGTH, blank=True)
    price = models.PositiveIntegerField(_("price, đồng"), null=True, blank=True)
    # Whether it expired, had a price, and was not refunded. Written by the triggers of `rentals.missing_refunds` alone.
    refund_missing = models.BooleanField(default=False, db_default=False, editable=False)
    unasked = models.JSONField(
        _("not as requested"), default=list, blank=True
    )  # filters that ThueSim ignored: "network", "prefix", "exclude_prefix"
    upstream_created_at = models.DateTimeField(_("rented at ThueSim at"), null=True, blank=True)

    # When. `due_at`: not before this is the order tried again, or the number polled again.
    queued_at = models.DateTimeField(_("ordered at"))
    attempt_at = models.DateTimeField(_("last attempt at"), null=True, blank=True)
    attempts = models.PositiveIntegerField(_("attempts"), default=0)
    placed_at = models.DateTimeField(_("rented at"), null=True, blank=True)
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    received_at = models.DateTimeField(_("code at"), null=True, blank=True)
    ended_at = models.DateTimeField(_("ended at"), null=True, blank=True)
    due_at = models.DateTimeField(_("due at"), null=True, blank=True)
    looks = models.PositiveIntegerField(_("polls"), default=0)
    looked_at = models.DateTimeField(null=True, blank=True)

    # Why it ended as it did: a key of `rentals.lifecycle.reasons`, and the upstream's own words.
    reason = models.CharField(max_length=30, blank=True)
    reason_detail = models.CharField(max_length=limits.MAX_REASON_LENGTH, blank=True)

    objects = RentalQuerySet.as_manager()

    class Meta:
        verbose_name = _("rental")
        verbose_name_plural = _("rentals")
        ordering = ["-queued_at", "-pk"]
        constraints = [
            models.UniqueConstraint(
                fields=["token", "upstream_key"], condition=~Q(upstream_key=""), name="one_rental_per_upstream_id"
            ),
            models.CheckConstraint(condition=Q(status__in=Status.values), name="known_status"),
            models.CheckConstraint(
                condition=~Q(status__in=["waiting", "received", "expired"]) | ~Q(upstream_key=""),
                name="a_number_has_an_upstream_id",
            ),
        ]
        indexes = [
            models.Index(fields=["team", "-queued_at"], name="rental_team_time"),
            models.Index(fields=["team", "placed_at"], name="rental_team_placed"),
            models.Index(fields=["team", "ended_at"], name="rental_team_ended"),
            models.Index(fields=["token", "status", "due_at"], name="rental_token_due"),
            # Who was served when, by which the queue takes turns.
            models.Index(fields=["person", "token", "attempt_at"], name="rental_person_served"),
            models.Index(
                fields=["status", "due_at"],
                condition=Q(status__in=["queued", "placing", "unconfirmed", "waiting"]),
                name="rental_open_due",
            ),
            # By bytes, which alone serves numbers that begin with a prefix where PostgreSQL's collation is another.
            models.Index(fields=["phone"], name="rental_number", opclasses=["varchar_pattern_ops"]),
            models.Index(fields=["again_of"], condition=Q(again_of__isnull=False), name="rental_again"),
            models.Index(
                fields=["ordered_by", "team"], condition=Q(ordered_by__isnull=False), name="rental_handed_over"
            ),
            models.Index(
                fields=["api_key", "placed_at"], condition=Q(api_key__isnull=False), name="rental_api_key_placed"
            ),
            # The history's filters and orders, each read from its newest row on.
            models.Index(fields=["team", "service", "-queued_at"], name="rental_team_service"),
            models.Index(fields=["team", "person", "-queued_at"], name="rental_team_person"),
            models.Index(fields=["team", "status", "-queued_at"], name="rental_team_status"),
            models.Index(fields=["team", "token", "-queued_at"], name="rental_team_token"),
            models.Index(fields=["team", "network", "-queued_at"], name="rental_team_network"),
            models.Index(fields=["team", "-queued_at"], condition=Q(refund_missing=True), name="rental_refund_missing"),
            models.Index("team", Coalesce("price", 0), "id", name="rental_team_price"),
        ]

    def __str__(self) -> str:
        return f"#{self.pk} {self.service} {self.phone}".strip()

    @property
    def price_limit(self) -> int | None:
        """What the number may cost when its turn comes, in đồng: more than that is not ordered."""
        return self.agreed_price if self.max_price is None else self.max_price

    @property
    def price_limits(self) -> list[PriceLimit]:
        """What the number might cost when it was ordered: the limit that held first, then the other one, if any."""
        own = PriceLimit("shown" if self.max_price is None else "order", self.price_limit)
        limits = (own, PriceLimit("team", self.team_max_price))
        return sorted((limit for limit in limits if limit.amount is not None), key=lambda limit: limit.amount or 0)

    @property
    def is_dearer(self) -> bool:
        """Whether it cost more than was shown at the order."""
        return self.price is not None and self.agreed_price is not None and self.price > self.agreed_price

    @property
    def newest_messages(self) -> "list[Message]":
        """The messages, newest first. No query where they were prefetched."""
        prefetched: Iterable[Message] | None = self.__dict__.get("prefetched_messages")
        if prefetched is None:
            # What `messages.all()` would find there: a card asks three times, and making its query takes longest.
            prefetched = self.__dict__.get("_prefetched_objects_cache", {}).get("messages")
        messages = self.messages.all() if prefetched is None else prefetched
        return sorted(messages, key=lambda message: (message.at, message.pk), reverse=True)

    @property
    def latest_message(self) -> "Message | None":
        """The newest message. No query where the messages were prefetched."""
        return next(iter(self.newest_messages), None)

    @property
    def status_label(self) -> str:
        """The status in words. A message in which no code was found does not read as a code."""
        return gettext("no code recognised: read the message") if self.lacks_code else str(Status(self.status).label)

    @property
    def lacks_code(self) -> bool:
        """Whether messages came and no code was found in any, as with an advert. No query where they were prefetched."""
        messages = self.newest_messages if self.status == Status.RECEIVED else []
        return bool(messages) and not any(message.code or message.equal_codes for message in messages)

    def announce(self) -> None:
        """Tell the open screens on commit that this rental changed. Call it inside the transaction of the change."""
        announce.rental(self.pk, team=self.team_id)

    @property
    def ends_at(self) -> datetime | None:
        """When a number that still waits runs out, by our own clock."""
        return self.expires_at if self.status == Status.WAITING else None


class MessageSource(StrEnum):
    """How a message came to us: the values of `Message.source`. Without `choices`, so a new one needs no migration."""

    POLL = "poll"
    CALLBACK = "callback"
    HISTORY = "history"


# Of messages from before `Message.several_codes`, which every board and every stream reads again. In memory alone.
_equal_codes = lru_cache(maxsize=1000)(codes.equal_codes_beside)


def several_codes(code: str, text: str) -> str:
    """Return what `Message.several_codes` keeps of a message."""
    return "\n".join(codes.equal_codes_beside(code, text))


def equal_codes(code: str, text: str, several: str | None) -> tuple[str, ...]:
    """Return the codes between which only a reader can choose: the text names several, none more than the others. `()` where
    ThueSim's code is none of them. `several` is what `Message.several_codes` keeps."""
    if several is None:
        return _equal_codes(code, text)
    return tuple(several.split("\n")) if several else ()


class Message(models.Model):
    """An SMS or a voice call that a number received. The text is hostile input: always escaped."""

    # Without an index of its own: that of the constraint begins with it.
    rental = models.ForeignKey(
        Rental, on_delete=models.CASCADE, related_name="messages", db_index=False, verbose_name=_("rental")
    )
    at = models.DateTimeField(_("at"))
    code = models.CharField(_("code"), max_length=40, blank=True)
    # The other reading, where ThueSim's code and the text disagree.
    second_code = models.CharField(max_length=40, blank=True, default="", db_default="")
    # Whether it says the same as a message of the rental from which the number was rented again.
    is_earlier = models.BooleanField(default=False, db_default=False)
    # The equal codes of its text, one a line: to recognise them takes ten times as long as an exported row. None where the
    # text came later, or before this column: then they are recognised when it is read.
    several_codes = models.TextField(null=True, editable=False)  # noqa: DJ001 - "" is none, None unknown
    text = models.TextField(_("text"), blank=True)
    is_call = models.BooleanField(_("call"), default=False)
    audio_url = models.TextField(blank=True)
    audio = models.FileField(upload_to="calls/%Y/%m", blank=True, max_length=200)
    audio_type = models.CharField(max_length=60, blank=True)
    audio_tries = models.PositiveSmallIntegerField(default=0)
    source = models.CharField(max_length=10)  # a `MessageSource`
    fingerprint = models.CharField(max_length=64)

    MAX_AUDIO_TRIES = 6

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        ordering = ["at", "pk"]
        constraints = [
            models.UniqueConstraint(fields=["rental", "fingerprint"], name="a_message_is_kept_once"),
        ]
        indexes = [models.Index(fields=["at"], name="message_time")]

    def __str__(self) -> str:
        return f"#{self.pk}"

    @property
    def equal_codes(self) -> tuple[str, ...]:
        """As `equal_codes` says."""
        return equal_codes(self.code, self.text, self.several_codes)

    @property
    def has_recording_file(self) -> bool:
        """Whether its recording is there: after a restore it may not. Raises `shared_files.Unreachable`."""
        return bool(self.audio) and self.audio.storage.exists(str(self.audio.name))

    @property
    def may_fetch_recording(self) -> bool:
        """Whether ThueSim may still have its recording."""
        return bool(self.audio_url) and self.audio_tries < self.MAX_AUDIO_TRIES

    @property
    def is_playable(self) -> bool:
        """Whether its recording was fetched, and is there or may be fetched again. A bucket is not asked, since a page
        would wait for it."""
        return bool(self.audio) and (shared_files.are_remote() or self.has_recording_file or self.may_fetch_recording)


class EventKind(StrEnum):
    """What a line of the timeline tells: the values of `RentalEvent.kind`. Without `choices`, so a new one needs no
    migration."""

    ORDERED = "ordered"
    ASKED = "asked"  # a request for a number is about to leave
    REQUEUED = "tries again"
    MOVED = "moved"  # to another token
    RENTED = "rented"
    RECEIVED = "received"
    MESSAGE = "message"  # another one, after the first
    EXPIRED = "expired"
    REFUSED = "refused"
    UNCONFIRMED = "unconfirmed"
    CANCELLED = "cancelled"
    HANDED_OVER = "handed over"  # to a colleague
    REFUNDED = "refunded"
    REFUND_TAKEN_BACK = "refund taken back"  # the refund was booked by mistake
    PRICE = "price"  # it cost something else than was thought
    IMPORTED = "imported"


class RentalEvent(models.Model):
    """A line of a rental's timeline, written in the transaction of the change itself."""

    rental = models.ForeignKey(Rental, on_delete=models.CASCADE, related_name="events")
    at = models.DateTimeField(_("at"))
    kind = models.CharField(max_length=20)  # an `EventKind`
    before = models.CharField(max_length=12, blank=True)
    after = models.CharField(max_length=12, blank=True)
    person = models.ForeignKey(
        "accounts.User",
        verbose_name=_("person"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    detail: "models.JSONField[Any, Any]" = models.JSONField(_("detail"), default=dict, blank=True)

    class Meta:
        verbose_name = _("event")
        verbose_name_plural = _("events")
        ordering = ["at", "pk"]
        indexes = [models.Index(fields=["person"], condition=Q(person__isnull=False), name="event_person")]

    def __str__(self) -> str:
        return f"{self.kind}: {self.before} → {self.after}"
