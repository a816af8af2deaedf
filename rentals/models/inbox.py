"""What arrives unasked or unexpected: callbacks, surprises in replies, and the marks that our own jobs leave."""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from rentals.models.rentals import Rental
from rentals.models.tokens import Token


class Callback(models.Model):
    """A callback as it came, kept before it is answered (API page, section 3.3)."""

    class State(models.TextChoices):
        PENDING = "pending", _("to be applied")
        APPLIED = "applied", _("applied")
        UNKNOWN = "unknown", _("for no rental of ours")
        UNREADABLE = "unreadable", _("not understood")

    token = models.ForeignKey(Token, on_delete=models.CASCADE, related_name="callbacks", verbose_name=_("token"))
    at = models.DateTimeField(_("at"), db_index=True)
    body = models.BinaryField()
    content_type = models.CharField(max_length=100, blank=True)
    address = models.GenericIPAddressField(_("from"), null=True, blank=True)
    state = models.CharField(_("state"), max_length=12, choices=State, default=State.PENDING)
    upstream_key = models.CharField("ID", max_length=40, blank=True)
    rental = models.ForeignKey(Rental, on_delete=models.SET_NULL, null=True, blank=True, related_name="callbacks")
    applied_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = _("callback")
        verbose_name_plural = _("callbacks")
        ordering = ["-at", "-pk"]
        indexes = [models.Index(fields=["state", "at"], name="callback_state_time")]

    def __str__(self) -> str:
        return f"#{self.pk} {self.upstream_key}".strip()


class ContractDrift(models.Model):
    """A way in which the upstream's replies differ from its page, counted. `sample` shows shapes, nothing personal."""

    endpoint = models.CharField(_("endpoint"), max_length=30)
    form = models.CharField(_("difference"), max_length=200)
    sample = models.TextField(_("sample"), blank=True)
    count = models.PositiveBigIntegerField(_("times"), default=0)
    first_at = models.DateTimeField(_("first seen"))
    last_at = models.DateTimeField(_("last seen"))

    class Meta:
        verbose_name = _("contract drift")
        verbose_name_plural = _("contract drift")
        ordering = ["-last_at"]
        constraints = [models.UniqueConstraint(fields=["endpoint", "form"], name="one_row_per_difference")]

    def __str__(self) -> str:
        return f"{self.endpoint}: {self.form}"


class JobRun(models.Model):
    """The last run of a recurring job, per token where it works on one."""

    name = models.CharField(max_length=30)
    token = models.ForeignKey(Token, on_delete=models.CASCADE, null=True, blank=True, related_name="job_runs")
    at = models.DateTimeField(null=True, blank=True)  # last run, whatever came of it
    ok_at = models.DateTimeField(null=True, blank=True)
    fault = models.CharField(max_length=200, blank=True)

    class Meta:
        verbose_name = _("job run")
        verbose_name_plural = _("job runs")
        constraints = [
            models.UniqueConstraint(fields=["name"], condition=Q(token=None), name="one_row_per_job"),
            models.UniqueConstraint(
                fields=["name", "token"], condition=Q(token__isnull=False), name="one_row_per_job_and_token"
            ),
        ]

    def __str__(self) -> str:
        return self.name
