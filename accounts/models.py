"""People, the teams they work in, and the record of what they did."""

from collections.abc import Iterable
from typing import Any, NoReturn

from django.conf import settings
from django.contrib.auth.models import AbstractUser
from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class Role(models.TextChoices):
    """What a person is in a team. What each may do is decided in `accounts.policy`."""

    VIEWER = "viewer", _("viewer")
    OPERATOR = "operator", _("operator")
    MANAGER = "manager", _("manager")


class Team(models.Model):
    """The people who share tokens, a queue and a history. No member sees anything of another team."""

    # Not unique: a refusal would tell a manager what other teams are called. See `accounts.forms.TeamSettingsForm`.
    name = models.CharField(_("name"), max_length=80)
    purpose_required = models.BooleanField(
        _("purpose required"), default=False, help_text=_("Every order must say what the number is for.")
    )
    shares_codes = models.BooleanField(
        _("operators see each other's codes"),
        default=False,
        help_text=_("Otherwise an operator reads in full only the codes of the numbers that they rented."),
    )
    codes_fade_minutes = models.PositiveSmallIntegerField(
        _("codes fade after, minutes"),
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text=_(
            "Then only the person who rented the number still reads the code; others can reveal it. Empty: never."
        ),
    )
    requires_second_step = models.BooleanField(
        _("two-factor authentication required"),
        default=False,
        help_text=_("Only people with an authenticator app or a passkey can work in this team."),
    )
    budget_day = models.PositiveBigIntegerField(
        _("budget per day, đồng"), null=True, blank=True, help_text=_("Empty: no limit.")
    )
    budget_month = models.PositiveBigIntegerField(
        _("budget per month, đồng"), null=True, blank=True, help_text=_("Empty: no limit.")
    )
    max_price = models.PositiveIntegerField(
        _("max price per number, đồng"), null=True, blank=True, help_text=_("Empty: no limit.")
    )
    low_balance = models.PositiveBigIntegerField(
        _("warn when a token's balance falls below, đồng"), null=True, blank=True, help_text=_("Empty: no warning.")
    )
    # The one reference from here to `rentals`, by its name: a circle of the database, not of the imports.
    services = models.ManyToManyField(
        "rentals.Service",
        blank=True,
        related_name="+",
        verbose_name=_("services allowed"),
        help_text=_("None chosen: all of them."),
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name = _("team")
        verbose_name_plural = _("teams")
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class CopyAs(models.TextChoices):
    """The form in which a number is copied, shown by an example."""

    DIGITS = "digits", "0852222127"
    NATIONAL = "national", "0852 222 127"
    INTERNATIONAL = "international", "+84852222127"


class User(AbstractUser):
    """A person. Staff (Django's flag) are admins: they hold the tokens, in the Django admin."""

    team = models.ForeignKey(
        Team, on_delete=models.SET_NULL, null=True, blank=True, related_name="+", verbose_name=_("team last worked in")
    )
    language = models.CharField(_("language"), max_length=5, blank=True)
    time_zone = models.CharField(_("time zone"), max_length=40, blank=True, db_default="")  # "": the desk's

    # Preferences, the same in every browser. Columns of this row, because every page reads it anyway.
    copy_as = models.CharField(_("numbers are copied as"), max_length=13, choices=CopyAs, default=CopyAs.DIGITS)
    sounds = models.BooleanField(_("sound when a code comes"), default=False)
    notifies = models.BooleanField(_("desktop notification when a code comes"), default=False)
    counts_in_title = models.BooleanField(_("new codes are counted in the title"), default=True)
    single_keys = models.BooleanField(_("single-key shortcuts"), default=True)
    dense_board = models.BooleanField(_("dense rows on the desk"), default=False, db_default=False)
    codes_first = models.BooleanField(_("newest codes first on the desk"), default=False, db_default=False)

    # What a single sign-on provider said: whose group rule made the person an admin ("": by hand), and whether it checked
    # a second factor at the last sign-in.
    admin_source = models.CharField(
        _("admin by the groups of"), max_length=40, blank=True, default="", db_default="", editable=False
    )
    two_factor_at_provider = models.BooleanField(default=False, db_default=False, editable=False)

    # The tours that were left or ended, by `policy.Access.tour`: each comes by itself until then.
    tours_seen = models.JSONField(_("tours seen"), default=list, db_default=[], blank=True)

    class Meta(AbstractUser.Meta):
        verbose_name = _("person")  # type: ignore[assignment]
        verbose_name_plural = _("people")  # type: ignore[assignment]

    def __str__(self) -> str:
        """With the user name, which is unique: two people may be called Ma."""
        return self.named(self.get_full_name(), self.username)

    def has_usable_password(self) -> bool:
        """False for everyone while passwords are switched off: allauth then asks nobody for theirs."""
        return bool(settings.PASSWORDS and super().has_usable_password())

    def check_password(self, raw_password: str | None) -> bool:
        """Whether this is their password; never while passwords are switched off."""
        return bool(settings.PASSWORDS and super().check_password(raw_password))

    @staticmethod
    def named(full_name: str, username: str) -> str:
        """Return how a person is named on every page and in every record: `Linh Trần (linh)`."""
        return f"{full_name} ({username})" if full_name and full_name != username else username


class Membership(models.Model):
    """One person's role in one team."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships", verbose_name=_("person"))
    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="memberships", verbose_name=_("team"))
    role = models.CharField(_("role"), max_length=10, choices=Role, default=Role.OPERATOR)
    budget_day = models.PositiveBigIntegerField(
        _("budget per day, đồng"), null=True, blank=True, help_text=_("Empty: no limit.")
    )
    budget_month = models.PositiveBigIntegerField(
        _("budget per month, đồng"), null=True, blank=True, help_text=_("Empty: no limit.")
    )
    rentals_per_day = models.PositiveIntegerField(
        _("rentals per day"), null=True, blank=True, help_text=_("Empty: no limit.")
    )
    created_at = models.DateTimeField(auto_now_add=True)
    # The id of the single sign-on provider whose groups give it, and take it away; "": given by hand.
    source = models.CharField(
        _("by the groups of"), max_length=40, blank=True, default="", db_default="", editable=False
    )

    class Meta:
        verbose_name = _("membership")
        verbose_name_plural = _("memberships")
        constraints = [models.UniqueConstraint(fields=["user", "team"], name="one_role_per_team")]

    def __str__(self) -> str:
        return f"{self.user} · {self.team} · {self.get_role_display()}"


class Right(models.TextChoices):
    """What a group rule gives: a role in a team, or an admin's rights. The values stand in rows and never change."""

    VIEWER = Role.VIEWER.value, Role.VIEWER.label
    OPERATOR = Role.OPERATOR.value, Role.OPERATOR.label
    MANAGER = Role.MANAGER.value, Role.MANAGER.label
    ADMIN = "admin", _("admin of the desk")
    SUPERUSER = "superuser", _("admin who appoints admins")


class GroupRule(models.Model):
    """What people of a group at a single sign-on provider get at each sign-in: see `accounts.single_sign_on.groups`."""

    EVERYONE = "*"

    provider = models.CharField(_("provider"), max_length=40)
    group = models.CharField(
        _("group"), max_length=255, help_text=_("As the provider writes it; * stands for every person of the provider.")
    )
    right = models.CharField(_("gives"), max_length=10, choices=Right, default=Right.OPERATOR)
    team = models.ForeignKey(
        Team,
        on_delete=models.CASCADE,
        null=True,
        blank=True,
        related_name="+",
        verbose_name=_("team"),
        help_text=_("For a role. An admin acts in every team."),
    )
    is_on = models.BooleanField(_("on"), default=True, help_text=_("A rule that is off takes away what it gave."))

    class Meta:
        verbose_name = _("group rule")
        verbose_name_plural = _("group rules")
        ordering = ["provider", "group", "pk"]
        constraints = [
            models.CheckConstraint(
                condition=Q(right__in=["admin", "superuser"], team=None)
                | Q(right__in=["viewer", "operator", "manager"], team__isnull=False),
                name="role_with_team",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.provider} · {self.group} · {self.team or ''} · {self.get_right_display()}".replace(
            " ·  · ", " · "
        )


class Invitation(models.Model):
    """A link by which one person joins a team, once, before it expires. Only its digest is kept."""

    team = models.ForeignKey(Team, on_delete=models.CASCADE, related_name="invitations", verbose_name=_("team"))
    role = models.CharField(_("role"), max_length=10, choices=Role, default=Role.OPERATOR)
    note = models.CharField(_("for whom"), max_length=80, blank=True)
    secret_digest = models.CharField(max_length=64, unique=True, editable=False)
    invited_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+", verbose_name=_("invited by"))
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires at"))
    used_at = models.DateTimeField(_("used at"), null=True, blank=True)
    used_by = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("used by")
    )
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)

    class Meta:
        verbose_name = _("invitation")
        verbose_name_plural = _("invitations")
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        return f"{self.team} · {self.get_role_display()} · {self.note}".removesuffix(" · ")

    @classmethod
    def usable(cls) -> Q:
        """Return the condition of an invitation that still lets a person in."""
        return Q(used_at=None, revoked_at=None, expires_at__gt=timezone.now())


class OneTimeKey(models.Model):
    """A key that a request was sent with, and what it made: see `accounts.one_time_keys`. Only digests are kept."""

    digest = models.CharField(max_length=64, unique=True)
    asked = models.CharField(max_length=64)
    made = models.BigIntegerField()
    at = models.DateTimeField(db_index=True)

    class Meta:
        verbose_name = _("one-time key")
        verbose_name_plural = _("one-time keys")

    def __str__(self) -> str:
        return self.digest[:8]


class Scope(models.TextChoices):
    """What an API key lets a program do. The values stand in keys and in the API, and never change."""

    RENTALS_READ = "rentals:read", _("see rentals, codes masked")
    CODES_READ = "codes:read", _("read codes and texts in full")
    RENTALS_WRITE = "rentals:write", _("rent, rent again, cancel, check")
    CATALOG_READ = "catalog:read", _("see services and networks")
    BALANCE_READ = "balance:read", _("see tokens and balances")


class ApiKey(models.Model):
    """A program's key to the API: it acts as one person in one team, with some of their rights. See `accounts.api_keys`.

    Only the digest of its secret is kept, and `start`, the secret's first characters. Money is whole đồng.
    """

    team = models.ForeignKey(Team, on_delete=models.PROTECT, related_name="api_keys", verbose_name=_("team"))
    person = models.ForeignKey(User, on_delete=models.PROTECT, related_name="api_keys", verbose_name=_("person"))
    name = models.CharField(_("name"), max_length=60)
    start = models.CharField(max_length=12, editable=False)
    secret_digest = models.CharField(max_length=64, unique=True, editable=False)
    scopes = models.JSONField(_("scopes"), default=list)
    addresses = models.JSONField(_("addresses"), default=list, blank=True)
    budget_day = models.PositiveBigIntegerField(_("budget per day, đồng"), null=True, blank=True)
    budget_month = models.PositiveBigIntegerField(_("budget per month, đồng"), null=True, blank=True)
    rentals_per_day = models.PositiveIntegerField(_("rentals per day"), null=True, blank=True)
    created_at = models.DateTimeField(_("created at"), auto_now_add=True)
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    last_used_at = models.DateTimeField(_("last used"), null=True, blank=True)
    last_used_from = models.GenericIPAddressField(_("from"), null=True, blank=True)
    revoked_at = models.DateTimeField(_("revoked at"), null=True, blank=True)

    class Meta:
        verbose_name = _("API key")
        verbose_name_plural = _("API keys")
        ordering = ["-created_at", "-pk"]

    def __str__(self) -> str:
        """With the secret's start: two keys may be called alike."""
        return f"{self.name} ({self.start}…)"

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()


class AuditQuerySet(models.QuerySet["AuditRecord"]):
    """Append-only: rows are written once by `accounts.audit.record`, and end with their retention alone."""

    def update(self, **kwargs: Any) -> NoReturn:
        raise TypeError("An audit record cannot be changed.")

    def delete(self) -> NoReturn:
        raise TypeError("An audit record cannot be deleted.")

    def bulk_create(self, objs: "Iterable[AuditRecord]", *args: Any, **kwargs: Any) -> "list[AuditRecord]":
        if kwargs.get("update_conflicts"):
            raise TypeError("An audit record cannot be changed.")
        return super().bulk_create(objs, *args, **kwargs)


# Nearly all audit records have one of these actions, and a rental or a message as their target. An index has the others,
# among which a text is looked for. One condition each: in a list, SQLite does not recognise what is bound to the query.
ACTIONS_ON_RENTALS = ("cancel", "copy", "hand_over", "listen", "order", "read", "reveal")
NOT_ON_RENTALS = Q(*(~Q(action=action) for action in ACTIONS_ON_RENTALS))


class AuditRecord(models.Model):
    """Who did what, on what, when and from which address. Never edited.

    `action` is an `accounts.audit.Action`; `target` is written by `audit.about` and read by `audit.read_target`.
    """

    at = models.DateTimeField(_("at"), auto_now_add=True, db_index=True)
    person = models.ForeignKey(
        User, on_delete=models.PROTECT, null=True, blank=True, related_name="+", verbose_name=_("person")
    )
    # Without an index of its own: another one begins with it.
    team = models.ForeignKey(
        Team, on_delete=models.PROTECT, null=True, blank=True, related_name="+", db_index=False, verbose_name=_("team")
    )
    action = models.CharField(_("action"), max_length=40)
    target = models.CharField(_("target"), max_length=120, blank=True)
    detail = models.JSONField(_("detail"), default=dict, blank=True)
    address = models.GenericIPAddressField(_("from"), null=True, blank=True)
    # The API key with which the person did it.
    key = models.ForeignKey(
        ApiKey,
        on_delete=models.PROTECT,
        null=True,
        blank=True,
        related_name="+",
        db_index=False,
        verbose_name=_("API key"),
    )
    # Given where one record a day is enough, as for a code that stays on a screen.
    day = models.DateField(null=True, blank=True, editable=False)

    objects = AuditQuerySet.as_manager()

    class Meta:
        verbose_name = _("audit record")
        verbose_name_plural = _("audit log")
        ordering = ["-at", "-pk"]
        base_manager_name = "objects"
        indexes = [
            models.Index(fields=["team", "-at"], name="audit_team_time"),
            models.Index(fields=["target"], name="audit_target"),
            models.Index(fields=["action"], name="audit_action"),
            models.Index(fields=["address"], name="audit_address"),
            models.Index(fields=["team", "-id"], condition=NOT_ON_RENTALS, name="audit_team_others"),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["person", "action", "target", "day"],
                condition=Q(day__isnull=False, key=None),
                name="one_record_a_day",
            ),
            models.UniqueConstraint(
                fields=["key", "action", "target", "day"],
                condition=Q(day__isnull=False, key__isnull=False),
                name="one_record_a_day_and_key",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.target}".strip()

    def save(self, *args: Any, **kwargs: Any) -> None:
        if not self._state.adding:
            raise TypeError("An audit record cannot be changed.")
        super().save(*args, **kwargs)

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise TypeError("An audit record cannot be deleted.")
