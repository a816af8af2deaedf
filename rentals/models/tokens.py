"""The API tokens that teams rent on, with what is kept per token: pacing, waiting limit, holds, balance."""

import secrets
from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from lib import announce
from lib.encryption import EncryptedField, Secret, digest


class Hold(models.TextChoices):
    """Why a token takes no order now. Each hold but `PAUSED` ends by itself: see `rentals.upstream.breaker`."""

    NONE = "", _("taking orders")
    PAUSED = "paused", _("paused")
    INVALID = "invalid", _("refused by ThueSim")
    # Never put on: an order that a poor token cannot pay for moves on alone. A member less would be a migration.
    LOW_BALANCE = "low_balance", _("balance too low")
    LIMIT = "limit", _("waiting limit reached")
    DOWN = "down", _("ThueSim does not answer")
    KEY_MISSING = "key_missing", _("key missing")  # never stored: the value itself tells it


class Token(models.Model):
    """An API token. Its value is encrypted at rest and never shown again once saved.

    Three columns keep the gap between calls that take a number, see `rentals.upstream.pacing`: `next_turn_at` by the wall
    clock, `turn_clock` by the machine's monotonic clock in seconds, and `turn_boot`, the boot that `turn_clock` counts from.
    """

    name = models.CharField(_("name"), max_length=80, unique=True)
    value = EncryptedField(_("value"))
    value_digest = models.CharField(max_length=64, unique=True, editable=False)
    teams = models.ManyToManyField("accounts.Team", related_name="tokens", verbose_name=_("teams"), blank=True)
    paused = models.BooleanField(
        _("paused"), default=False, help_text=_("A paused token keeps its queue and takes no order.")
    )
    created_at = models.DateTimeField(auto_now_add=True)

    balance = models.BigIntegerField(_("balance, đồng"), null=True, blank=True, editable=False)
    balance_at = models.DateTimeField(_("balance read at"), null=True, blank=True, editable=False)
    # Up to this reading every movement of the balance has its ledger line or its question.
    explained_reading = models.ForeignKey(
        "BalanceReading", on_delete=models.SET_NULL, null=True, blank=True, editable=False, related_name="+"
    )

    next_turn_at = models.DateTimeField(null=True, blank=True, editable=False)
    turn_boot = models.CharField(max_length=40, blank=True, editable=False)
    turn_clock = models.FloatField(default=0, editable=False)
    waiting_limit = models.PositiveIntegerField(
        _("waiting limit"), null=True, blank=True, help_text=_("Numbers that may wait at once; learned from ThueSim.")
    )
    hold = models.CharField(_("status"), max_length=12, choices=Hold, blank=True, default=Hold.NONE, editable=False)
    hold_until = models.DateTimeField(null=True, blank=True, editable=False)
    hold_detail = models.CharField(max_length=200, blank=True, editable=False)

    next_watch_at = models.DateTimeField(null=True, blank=True, editable=False)
    history_distrusted_until = models.DateTimeField(null=True, blank=True, editable=False)
    faults = models.PositiveIntegerField(default=0, editable=False)
    last_fault = models.CharField(max_length=200, blank=True, editable=False)
    last_fault_at = models.DateTimeField(_("last error at"), null=True, blank=True, editable=False)
    answered_at = models.DateTimeField(null=True, blank=True, editable=False)
    clock_skew = models.FloatField(null=True, blank=True, editable=False)

    class Meta:
        verbose_name = _("token")
        verbose_name_plural = _("tokens")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def save(self, *args: Any, **kwargs: Any) -> None:
        if isinstance(self.value, str):
            self.value = Secret(self.value.strip())
        if self.value:  # "" where no key decrypts it; then the digest of the true value stays
            self.value_digest = digest(self.value.reveal())
        super().save(*args, **kwargs)

    def announce(self) -> None:
        """Tell the screens of the token's teams on commit that its state or balance changed."""
        for team_id in self.teams.values_list("pk", flat=True):
            announce.team(team_id, "tokens")


class CallbackAddress(models.Model):
    """A secret address that ThueSim posts a token's results to. A replaced one stays valid for a while."""

    token = models.ForeignKey(Token, on_delete=models.CASCADE, related_name="callback_addresses")
    secret = EncryptedField(_("secret"))
    secret_digest = models.CharField(max_length=64, unique=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("callback address")
        verbose_name_plural = _("callback addresses")
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.token} {self.secret}"

    @classmethod
    def issue(cls, token: Token) -> "CallbackAddress":
        """Make a new address for `token`."""
        text = secrets.token_urlsafe(32)
        return cls.objects.create(token=token, secret=Secret(text), secret_digest=digest(text))
