"""Money, in whole đồng: what was charged and refunded, and the balances that the upstream reports."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from rentals.models.rentals import Rental
from rentals.models.tokens import Token


class LedgerEntry(models.Model):
    """One movement of money on a token. `amount` is negative for a charge."""

    class Kind(models.TextChoices):
        OPENING = "opening", _("opening balance")
        RENT = "rent", _("rental")
        REFUND = "refund", _("refund")
        TOP_UP = "top_up", _("top-up")
        CORRECTION = "correction", _("correction")

    token = models.ForeignKey(Token, on_delete=models.PROTECT, related_name="ledger", verbose_name=_("token"))
    rental = models.ForeignKey(
        Rental, on_delete=models.PROTECT, null=True, blank=True, related_name="ledger", verbose_name=_("rental")
    )
    kind = models.CharField(_("kind"), max_length=12, choices=Kind)
    amount = models.BigIntegerField(_("amount, đồng"))
    at = models.DateTimeField(_("at"), db_index=True)
    note = models.CharField(_("note"), max_length=200, blank=True)
    person = models.ForeignKey("accounts.User", on_delete=models.PROTECT, null=True, blank=True, related_name="+")

    class Meta:
        verbose_name = _("ledger entry")
        verbose_name_plural = _("ledger entries")
        ordering = ["-at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["rental"], condition=Q(kind="rent"), name="one_charge_per_rental"),
            models.UniqueConstraint(fields=["rental"], condition=Q(kind="refund"), name="one_refund_per_rental"),
            models.UniqueConstraint(fields=["token"], condition=Q(kind="opening"), name="one_opening_per_token"),
        ]
        indexes = [models.Index(fields=["token", "at"], name="ledger_token_time")]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount} ₫"


class BalanceReading(models.Model):
    """A balance as the upstream reported it. `expected` is the sum of the ledger at that time; empty where orders were
    under way, since the two could not be compared."""

    token = models.ForeignKey(Token, on_delete=models.PROTECT, related_name="readings", verbose_name=_("token"))
    at = models.DateTimeField(_("at"))
    balance = models.BigIntegerField(_("balance, đồng"))
    expected = models.BigIntegerField(_("expected, đồng"), null=True, blank=True)

    class Meta:
        verbose_name = _("balance reading")
        verbose_name_plural = _("balance readings")
        ordering = ["-at", "-pk"]
        indexes = [models.Index(fields=["token", "-at"], name="reading_token_time")]

    def __str__(self) -> str:
        return f"{self.balance} ₫"

    @property
    def unexplained(self) -> int | None:
        """What the ledger does not explain, in đồng; None where the two could not be compared."""
        return None if self.expected is None else self.balance - self.expected
