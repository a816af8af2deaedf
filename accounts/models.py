"""People, the teams they work in, and the record of what they did."""

from typing import Any, NoReturn

from django.contrib.auth.models import AbstractUser
from django.db import models
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    """What a person is in a team. What each may do is decided in `accounts.policy`."""

    VIEWER = "viewer", _("viewer")
    OPERATOR = "operator", _("operator")
    MANAGER = "manager", _("manager")


class Team(models.Model):
    """The people who share tokens, a queue and a history. Nobody sees anything of another team."""

    name = models.CharField(_("name"), max_length=80, unique=True)
    purpose_required = models.BooleanField(
        _("purpose required"), default=False, help_text=_("Every order must say what the number is for.")
    )
    shares_codes = models.BooleanField(
        _("operators see each other's codes"),
        default=False,
        help_text=_("Otherwise an operator reads in full only the codes of the numbers they rented."),
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("team")
        verbose_name_plural = _("teams")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class User(AbstractUser):
    """A person. Staff (Django's flag) are admins: they hold the tokens, in the Django admin."""

    team = models.ForeignKey(
        Team, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("team last worked in")
    )
    language = models.CharField(_("language"), max_length=5, blank=True)

    class Meta(AbstractUser.Meta):
        verbose_name = _("person")  # type: ignore[assignment]
        verbose_name_plural = _("people")  # type: ignore[assignment]

    def __str__(self) -> str:
        return self.get_full_name() or self.username


class Membership(models.Model):
    """One person's role in one team."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships", verbose_name=_("person"))
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships", verbose_name=_("team"))
    role = models.CharField(_("role"), max_length=10, choices=Role, default=Role.OPERATOR)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [models.UniqueConstraint(fields=["user", "team"], name="one_role_per_team")]

    def __str__(self) -> str:
        return f"{self.user} · {self.team} · {self.get_role_display()}"


class AuditQuerySet(models.QuerySet["AuditRecord"]):
    """Append-only: rows are written once by `accounts.audit.record`."""

    def update(self, **kwargs: Any) -> NoReturn:
        raise TypeError("The audit record cannot be changed.")

    def delete(self) -> NoReturn:
        raise TypeError("The audit record cannot be deleted.")


class AuditRecord(models.Model):
    """Who did what, on what, when and from where. Nobody edits it in the product."""

    at = models.DateTimeField(_("at"), auto_now_add=True, db_index=True)
    person = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("person")
    )
    team = models.ForeignKey(
        Team, on_delete=models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("team")
    )
    action = models.CharField(_("action"), max_length=40, db_index=True)
    target = models.CharField(_("on what"), max_length=120, blank=True)
    detail = models.JSONField(_("detail"), default=dict, blank=True)
    address = models.GenericIPAddressField(_("from"), null=True, blank=True)

    objects = AuditQuerySet.as_manager()

    class Meta:
        verbose_name = _("audit record")
        verbose_name_plural = _("audit records")
        ordering = ["-at", "-pk"]

    def __str__(self) -> str:
        return f"{self.action} {self.target}".strip()

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("The audit record cannot be changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("The audit record cannot be deleted.")
