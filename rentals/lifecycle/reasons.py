"""Why an order was refused or waits: a key in the database, and one sentence for the person with what to do next."""

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from rentals.models import Rental, Status
from thuesim import errors

INVALID_TOKEN = "invalid_token"  # noqa: S105 - a reason, not a secret
LIMIT = "limit"
LOW_BALANCE = "low_balance"
OUT_OF_STOCK = "out_of_stock"
SUSPENDED = "suspended"
TOO_SOON = "too_soon"
UPSTREAM = "upstream"
UNREACHABLE = "unreachable"
REJECTED = "rejected"
NOT_TAKEN = "not_taken"
PAUSED = "paused"
DOWN = "down"
NO_TOKEN = "no_token"  # noqa: S105 - a reason, not a secret
GAVE_UP = "gave_up"
TIMED_OUT = "timed_out"
LOST = "lost"
GIBBERISH = "gibberish"
WORKER_DIED = "worker_died"
NO_CODE = "no_code"
TEAM_BUDGET = "team_budget"
OWN_BUDGET = "own_budget"
OWN_RENTALS = "own_rentals"
KEY_BUDGET = "key_budget"
KEY_RENTALS = "key_rentals"
KEY_REVOKED = "key_revoked"
NOT_ALLOWED = "not_allowed"
NO_RIGHT = "no_right"
TOO_MANY = "too_many"
PRICE_ROSE = "price_rose"
TEAM_PRICE = "team_price"

SENTENCES: dict[str, Promise] = {
    INVALID_TOKEN: _("ThueSim refused the token. Ask an admin to check it; nothing was charged."),
    LIMIT: _("All waiting places of this token are taken. The order goes on as soon as one is free."),
    LOW_BALANCE: _("The token's balance is too low. Ask an admin to top it up; nothing was charged."),
    OUT_OF_STOCK: _("ThueSim has no such number now. Try other networks or prefixes, or try again in a few minutes."),
    SUSPENDED: _("ThueSim has suspended this service or no longer offers it. Choose another one."),
    TOO_SOON: _("ThueSim asks for a longer pause between orders. The order is tried again by itself."),
    UPSTREAM: _("ThueSim reported an error and gave no number. Nothing was charged; try again."),
    UNREACHABLE: _("ThueSim could not be reached. Nothing was charged; try again in a minute."),
    REJECTED: _("ThueSim rejected the request. Nothing was charged; tell an admin if it happens again."),
    NOT_TAKEN: _("No number was taken, as far as ThueSim's history shows. You can order again."),
    PAUSED: _("The token is paused. An admin can resume it, or choose another token."),
    DOWN: _("ThueSim does not answer. The order goes on by itself as soon as it does."),
    NO_TOKEN: _("No token of your team can take orders now. Ask an admin."),
    GAVE_UP: _("No number became free in the chosen time. Try other networks or prefixes, or try again later."),
    TIMED_OUT: _(
        "ThueSim did not answer in time. The desk is checking whether a number was taken; please do not order again."
    ),
    LOST: _("The connection broke. The desk is checking whether a number was taken; please do not order again."),
    GIBBERISH: _(
        "ThueSim's answer was unreadable. The desk is checking whether a number was taken; please do not order again."
    ),
    WORKER_DIED: _(
        "The order was interrupted. The desk is checking whether a number was taken; please do not order again."
    ),
    NO_CODE: _("No message came before the number expired."),
    TEAM_BUDGET: _("The team's budget was used up before this order's turn came. Nothing was charged; ask a manager."),
    OWN_BUDGET: _("Your budget was used up before this order's turn came. Nothing was charged; ask a manager."),
    OWN_RENTALS: _(
        "Your rentals for today were used up before this order's turn came. Nothing was charged; order again tomorrow."
    ),
    KEY_BUDGET: _(
        "The API key's budget was used up before this order's turn came. Nothing was charged; ask a manager."
    ),
    KEY_RENTALS: _(
        "The API key's rentals for today were used up before this order's turn came. Nothing was charged; order again "
        "tomorrow."
    ),
    KEY_REVOKED: _("The API key that ordered this was revoked before its turn came. Nothing was charged."),
    NOT_ALLOWED: _("Your team may not rent numbers for this service. Choose another one, or ask a manager."),
    NO_RIGHT: _("The person who ordered may no longer rent for this team. Nothing was charged."),
    PRICE_ROSE: _(
        "The price rose above what you agreed to before this order's turn came. Nothing was charged; "
        "order again to see the new price."
    ),
    TEAM_PRICE: _("This number costs more than your team allows for one. Nothing was charged; ask a manager."),
    TOO_MANY: _("You ordered too many numbers within a minute. Wait a minute, then order again."),
}


def sentence(reason: str) -> str:
    """Return the sentence for a reason's key: why an order waits or ended as it did. `""` for an unknown key."""
    return str(SENTENCES.get(reason, ""))


def sentence_for(rental: Rental) -> str:
    """Return the sentence for a rental, with advice that fits its order: who wants one certain number cannot choose
    another network, and an order that keeps trying needs none."""
    if rental.status == Status.CANCELLED:  # the person ended it, whatever held it up before
        return ""
    if rental.reason == OUT_OF_STOCK and rental.status == Status.QUEUED:
        return str(_TRIED_AGAIN)
    if rental.reason in {OUT_OF_STOCK, GAVE_UP}:
        if rental.again_of_id:
            return str(_NUMBER_NOT_FREE)
        if not (rental.networks or rental.prefixes or rental.exclude_prefixes):
            return str(_NONE_AT_ALL if rental.reason == OUT_OF_STOCK else _NONE_IN_TIME)
    return sentence(rental.reason)


_TRIED_AGAIN = _("ThueSim has no such number now. The order is tried again by itself.")
_NUMBER_NOT_FREE = _(
    "ThueSim cannot rent out this number again now. Nothing was charged; rent a new number, or try later."
)
_NONE_AT_ALL = _(
    "ThueSim has no number for this service now. Nothing was charged; try again, or keep trying for a while."
)
_NONE_IN_TIME = _("No number for this service became free in the chosen time. Nothing was charged; try again later.")


def of(error: errors.ThueSimError) -> str:
    """Return the key of the reason for an error of the upstream."""
    for kind, reason in _REASONS:
        if isinstance(error, kind):
            return reason
    return GIBBERISH if isinstance(error, errors.OutcomeUnknown) else UPSTREAM


_REASONS: tuple[tuple[type[errors.ThueSimError], str], ...] = (
    (errors.InvalidToken, INVALID_TOKEN),
    (errors.PendingLimitReached, LIMIT),
    (errors.InsufficientBalance, LOW_BALANCE),
    (errors.OutOfStock, OUT_OF_STOCK),
    (errors.ServiceUnavailable, SUSPENDED),
    (errors.TooSoon, TOO_SOON),
    (errors.KeptBack, TOO_SOON),
    (errors.CannotConnect, UNREACHABLE),
    (errors.Rejected, REJECTED),
    (errors.TimedOut, TIMED_OUT),
    (errors.ConnectionLost, LOST),
    (errors.ServerError, GIBBERISH),
)
