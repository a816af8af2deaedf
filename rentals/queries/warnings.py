"""What is wrong with a number that was rented all the same: its price, or a wish that ThueSim did not keep."""

from collections.abc import Sequence

from django.utils.translation import gettext as _

from lib.formats import dong
from rentals.models import Rental


def warnings_of(rental: Rental) -> tuple[str, ...]:
    """Return one sentence for each thing that is not as it was ordered."""
    dearer = (dearer_sentence(rental),) if rental.is_dearer else ()
    return dearer + not_as_requested(rental.unasked)


def not_as_requested(unasked: Sequence[str]) -> tuple[str, ...]:
    """Return one sentence for each wish of `Rental.unasked` that ThueSim did not keep."""
    if not unasked:
        return ()
    sentences = {
        "network": _("ThueSim gave a number of a different network than requested."),
        "prefix": _("ThueSim gave a number without the requested prefix."),
        "exclude_prefix": _("ThueSim gave a number with an excluded prefix."),
        "phone": _("ThueSim gave a different number than the one to rent again."),
    }
    return tuple(sentences[what] for what in unasked if what in sentences)


def dearer_sentence(rental: Rental) -> str:
    """Return what to say of a number that cost more than was shown at the order. No query where its team was read."""
    limits = (rental.max_price, rental.team_max_price, rental.team.max_price)
    return price_sentence(rental.price, rental.agreed_price, *limits)


def price_sentence(
    price: int | None, agreed: int | None, most: int | None, team_then: int | None, team_most: int | None
) -> str:
    """Return what to say of a `price` above the one that was shown, `agreed`, in đồng. It names the limit that it is over:
    the order's own, `most`, else the team's of then, or what the team allows now."""
    prices = {"price": dong(price), "agreed": dong(agreed), "most": dong(most), "team_most": dong(team_most)}
    if price is not None and most is not None and price > most:
        return _("It cost %(price)s: more than your limit of %(most)s (%(agreed)s was shown at the order).") % prices
    if price is not None and team_then is not None and price > team_then:
        sentence = _(
            "It cost %(price)s: more than the %(team_then)s that your team allowed (%(agreed)s was shown at the order)."
        )
        return sentence % {**prices, "team_then": dong(team_then)}
    if price is not None and team_most is not None and price > team_most:
        sentence = _("It cost %(price)s: your team allows %(team_most)s now (%(agreed)s was shown at the order).")
        return sentence % prices
    return _("It cost %(price)s: more than the %(agreed)s shown at the order.") % prices
