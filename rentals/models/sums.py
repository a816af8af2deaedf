"""The sums of spending: what a team's numbers cost by day, month and year, written by the triggers of `rentals.sums`."""

from django.db import models
from django.db.models import Q


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
