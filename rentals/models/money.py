"""Money, in whole đồng: what was charged and refunded, and the balances that the upstream reports."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from rentals.models.rentals import Rental
from rentals.models.tokens import Token


class LedgerEntry(models.Model):
    """One movement of money on a token. `amount` is negative for a charge."""

    class Kind(models.TextChoices):
        OPENING = "opening", _("opening balance")
        RENT = "rent", pgettext_lazy("what money went for", "rental")
        REFUND = "refund", _("refund")
        TOP_UP = "top_up", _("top-up")
        CORRECTION = "correction", _("correction")

    token = models.ForeignKey(
        Token, on_delete=models.PROTECT, related_name="ledger", db_index=False, verbose_name=_("token")
    )
    rental = models.ForeignKey(
        Rental, on_delete=models.PROTECT, null=True, blank=True, related_name="ledger", verbose_name=_("rental")
    )
    kind = models.CharField(_("kind"), max_length=12, choices=Kind)
    amount = models.BigIntegerField(_("amount, đồng"))
    at = models.DateTimeField(_("at"), db_index=True)
    note = models.CharField(_("note"), max_length=200, blank=True)
    person = models.ForeignKey(
        "accounts.User",
        verbose_name=_("person"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
    )
    # The reading that showed the movement, and the question that it answers; empty where neither is known.
    reading = models.ForeignKey(
        "BalanceReading",
        verbose_name=_("balance reading"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="lines",
        db_index=False,
    )
    question = models.ForeignKey(
        "BalanceQuestion",
        verbose_name=_("question"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="lines",
        db_index=False,
    )
    # A wrong line stays and is taken back by another one of the opposite amount.
    takes_back = models.OneToOneField(
        "self",
        verbose_name=_("takes back"),
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="taken_back_by",
    )
    taken_back = models.BooleanField(_("taken back"), default=False, db_default=False)

    class Meta:
        verbose_name = _("ledger entry")
        verbose_name_plural = _("ledger entries")
        ordering = ["-at", "-pk"]
        constraints = [
            models.UniqueConstraint(fields=["rental"], condition=Q(kind="rent"), name="one_charge_per_rental"),
            models.UniqueConstraint(
                fields=["rental"], condition=Q(kind="refund", taken_back=False), name="one_refund_per_rental"
            ),
            models.UniqueConstraint(fields=["token"], condition=Q(kind="opening"), name="one_opening_per_token"),
        ]
        indexes = [
            models.Index(fields=["token", "at"], name="ledger_token_time"),
            # Most lines have none of these.
            models.Index(fields=["person"], condition=Q(person__isnull=False), name="ledger_person"),
            models.Index(fields=["reading"], condition=Q(reading__isnull=False), name="ledger_reading"),
            models.Index(fields=["question"], condition=Q(question__isnull=False), name="ledger_question"),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.amount} ₫"


class BalanceReading(models.Model):
    """A balance as the upstream gave it.

    `expected` is what the ledger says of that moment; empty where orders were under way and the two cannot be compared. A
    rental that is found later, but was charged before, is put into it. `steady` says that no order moved money shortly
    before: a reply may give a balance half a minute old, so the other readings explain nothing.
    """

    token = models.ForeignKey(Token, on_delete=models.PROTECT, related_name="readings", verbose_name=_("token"))
    at = models.DateTimeField(_("at"))
    balance = models.BigIntegerField(_("balance, đồng"))
    expected = models.BigIntegerField(_("expected, đồng"), null=True, blank=True)
    steady = models.BooleanField(default=True, db_default=True)

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


class BalanceQuestion(models.Model):
    """Money that came to a token between two readings, or went if negative. Several things explain it, or none.

    A manager answers it. An open question is dropped when a rental found later changes the readings it came from, unless
    it was `reopened`: then a manager has taken back the line that explained it.
    """

    class Answer(models.TextChoices):
        REFUNDS = "refunds", _("refunds")
        TOP_UP = "top_up", _("top-up")
        CORRECTION = "correction", _("correction")

    token = models.ForeignKey(Token, on_delete=models.PROTECT, related_name="questions", verbose_name=_("token"))
    reading = models.ForeignKey(BalanceReading, on_delete=models.PROTECT, related_name="questions")
    since = models.DateTimeField(_("since"))
    until = models.DateTimeField(_("until"))
    amount = models.BigIntegerField(_("amount, đồng"))
    reopened = models.BooleanField(default=False)
    asked_at = models.DateTimeField(_("asked at"), auto_now_add=True)
    answer = models.CharField(_("answer"), max_length=12, choices=Answer, blank=True)
    note = models.CharField(_("note"), max_length=200, blank=True)
    person = models.ForeignKey(
        "accounts.User", on_delete=models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("person")
    )
    answered_at = models.DateTimeField(_("answered at"), null=True, blank=True)

    class Meta:
        verbose_name = _("question about the balance")
        verbose_name_plural = _("questions about the balance")
        ordering = ["-until", "-pk"]
        indexes = [
            models.Index(fields=["token", "reading"], condition=Q(answered_at=None), name="question_open"),
            models.Index(fields=["token", "-until"], name="question_token_time"),
        ]

    def __str__(self) -> str:
        return f"{self.amount} ₫"
