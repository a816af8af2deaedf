"""What `rentals.jobs.statistics` counts: how well services, networks and prefixes did for a team."""

from typing import Any

from django.db import models
from django.utils.translation import gettext_lazy as _

from rentals.models.catalog import Service


class ServiceFigure(models.Model):
    """How a service did for one team lately, as a whole, on one network, prefix, or both. Counted by
    `rentals.jobs.statistics`.

    `network` and `prefix` are empty where all are meant.
    """

    team = models.ForeignKey("accounts.Team", on_delete=models.CASCADE, related_name="+")
    service = models.ForeignKey(Service, on_delete=models.CASCADE, related_name="figures")
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
