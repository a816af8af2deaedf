"""What is wrong with a number that was rented all the same: its price, or a wish that ThueSim did not keep."""

from django.utils.translation import gettext as _

from lib.formats import dong
from rentals.models import Rental


def warnings_of(rental: Rental) -> tuple[str, ...]:
    """Return one sentence for each thing that is not as it was ordered."""
    dearer = (dearer_sentence(rental),) if rental.is_dearer else ()
    if not rental.unasked:
        return dearer
    sentences = {
        "network": _("ThueSim gave a number of a different network than requested."),
        "prefix": _("ThueSim gave a number without the requested prefix."),
        "exclude_prefix": _("ThueSim gave a number with an excluded prefix."),
        "phone": _("ThueSim gave a different number than the one to rent again."),
    }
    return dearer + tuple(sentences[what] for what in rental.unasked if what in sentences)


def dearer_sentence(rental: Rental) -> str:
    """Return what to say of a number that cost more than was shown at the order."""
    prices = {"price": dong(rental.price), "agreed": dong(rental.agreed_price)}
    return _("It cost %(price)s: more than the %(agreed)s shown at the order.") % prices
