"""What is counted from the history: how well services, networks and prefixes did, and which services a person stars."""

from typing import Any

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from rentals.models.catalog import Service


class ServiceFigure(models.Model):
    """How a service did for one team lately, as a whole, on one network, prefix, or both. Counted by
    `rentals.jobs.statistics`.

    `network` and `prefix` are empty where all are meant.
    """

    team = models.ForeignKey("accounts.Team", on_delete=models.CASCADE, related_name="+")
    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="+")
    network = models.CharField(max_length=40, blank=True)
    prefix = models.CharField(max_length=4, blank=True)
    rented = models.PositiveIntegerField()
    ended = models.PositiveIntegerField()
    received = models.PositiveIntegerField()
    # What the ended rentals cost and was not refunded, in đồng; None in a row that was counted before there was this.
    spent = models.BigIntegerField(null=True)
    median_seconds = models.FloatField(null=True, blank=True)
    at = models.DateTimeField()

    class Meta:
        verbose_name = _("service statistics")
        verbose_name_plural = _("service statistics")
        constraints = [
            models.UniqueConstraint(
                fields=["team", "service", "network", "prefix"], name="one_figure_per_team_and_scope"
            )
        ]

    def __str__(self) -> str:
        return f"{self.service_id} {self.network}{self.prefix}".strip()


class CountedDay(models.Model):
    """What `rentals.jobs.statistics` counted of a team's rentals of one day, by service, network and prefix: `figures`.

    `rentals.sums.fold` raises `changes` after a change of these rentals; `counted` is the value that the last count
    saw: while they differ, the day is to be counted again.
    """

    team = models.ForeignKey("accounts.Team", on_delete=models.CASCADE, db_index=False, related_name="+")
    day = models.DateField()
    changes = models.PositiveIntegerField(default=0)
    counted = models.IntegerField(default=-1)
    # How many still waited then: a rental that ends without a code changes no sum.
    waiting = models.PositiveIntegerField(default=0)
    at = models.DateTimeField(null=True)
    figures: "models.JSONField[Any, Any]" = models.JSONField(default=list)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["team", "day"], name="one_count_per_team_and_day")]

    def __str__(self) -> str:
        return str(self.day)


class StarredService(models.Model):
    """A service that a person wants to see first."""

    person = models.ForeignKey("accounts.User", on_delete=models.CASCADE, related_name="+", verbose_name=_("person"))
    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="+", verbose_name=_("service"))

    class Meta:
        verbose_name = _("starred service")
        verbose_name_plural = _("starred services")
        constraints = [models.UniqueConstraint(fields=["person", "service"], name="one_star_per_person_and_service")]

    def __str__(self) -> str:
        return f"{self.person} ★ {self.service}"


class SpendSum(models.Model):
    """What a team's numbers cost, in đồng, by the day, month or year (its first day) of the rent and one `name` of a kind.

    Written by triggers: see `rentals.sums`, which has the names of each kind. `piece` is the rental that a change was about,
    0 in a row into which such changes were merged: what a sum is, is the sum of its rows.
    """

    team = models.ForeignKey(
        "accounts.Team", on_delete=models.DO_NOTHING, db_constraint=False, db_index=False, related_name="+"
    )
    kind = models.CharField(max_length=12)  # a `rentals.sums.Kind`, with `-year` in a sum of a year
    is_month = models.BooleanField()  # or a year
    day = models.DateField()
    name = models.CharField(max_length=160)
    piece = models.BigIntegerField()
    rentals = models.IntegerField()
    codes = models.IntegerField()
    charged = models.BigIntegerField()
    refunded = models.BigIntegerField()
    # How many cost more than was shown at the order, and how much more.
    dearer = models.IntegerField()
    more = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["team", "kind", "is_month", "day", "name", "piece"], name="one_sum_per_name_and_piece"
            )
        ]
        indexes = [models.Index(fields=["id"], condition=~Q(piece=0), name="spend_sum_pieces")]

    def __str__(self) -> str:
        return f"{self.kind} {self.name} {self.day}"


class Uncounted(models.Model):
    """The rentals with ids past `after`, up to `upto`, are not in the sums of spending yet. Without a row, all are."""

    after = models.BigIntegerField()
    upto = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.after} – {self.upto}"
