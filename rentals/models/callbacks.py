"""The callbacks of the upstream, as they came."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from rentals.models.rentals import Rental
from rentals.models.tokens import Token
from thuesim import limits


class Callback(models.Model):
    """A callback as it came, kept before it is answered (API page, section 3.3)."""

    class State(models.TextChoices):
        PENDING = "pending", _("to be applied")
        APPLIED = "applied", _("applied")
        UNKNOWN = "unknown", _("unknown rental")
        UNREADABLE = "unreadable", _("unreadable")

    token = models.ForeignKey(Token, on_delete=models.CASCADE, related_name="callbacks", verbose_name=_("token"))
    at = models.DateTimeField(_("at"), db_index=True)
    body = models.BinaryField()
    content_type = models.CharField(_("content type"), max_length=100, blank=True)
    address = models.GenericIPAddressField(_("from"), null=True, blank=True)
    state = models.CharField(_("status"), max_length=12, choices=State, default=State.PENDING)
    upstream_key = models.CharField("ID", max_length=limits.MAX_ID_LENGTH, blank=True)
    rental = models.ForeignKey(
        Rental, verbose_name=_("rental"), on_delete=models.SET_NULL, null=True, blank=True, related_name="callbacks"
    )
    applied_at = models.DateTimeField(_("applied at"), null=True, blank=True)

    class Meta:
        verbose_name = _("callback")
        verbose_name_plural = _("callbacks")
        ordering = ["-at", "-pk"]
        indexes = [models.Index(fields=["state", "at"], name="callback_state_time")]

    # What names a rental of the token, and so comes from the upstream; and what names none, which anybody may have posted.
    PROVEN = (State.APPLIED,)
    UNPROVEN = (State.UNKNOWN, State.UNREADABLE)

    def __str__(self) -> str:
        return f"#{self.pk} {self.upstream_key}".strip()
