"""What happened on the desk while its person was away: one line when they are back."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from django.db.models import Count, Exists, OuterRef, Q, QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.policy import Access
from lib.web.query_params import whole_number
from rentals.models import Message, Rental, Status
from rentals.queries.filters import BoardFilter
from thuesim import codes

MAX_AWAY = timedelta(days=7)
# No rental is open for longer: one ordered before that cannot have ended in the meantime.
MAX_OPEN = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class News:
    """How many codes and other messages came, numbers expired and orders were refused after `since`."""

    since: datetime
    codes: int
    expired: int
    refused: int
    messages: int = 0  # in which no code was found

    def __bool__(self) -> bool:
        return bool(self.codes or self.messages or self.expired or self.refused)

    @property
    def summary(self) -> str:
        """The counts in words: `3 codes, 1 expired`."""
        parts = [
            (self.codes, ngettext("%(n)s code", "%(n)s codes", self.codes)),
            (
                self.messages,
                ngettext("%(n)s message: no code recognised", "%(n)s messages: no code recognised", self.messages),
            ),
            (self.expired, ngettext("%(n)s expired", "%(n)s expired", self.expired)),
            (self.refused, ngettext("%(n)s not rented", "%(n)s not rented", self.refused)),
        ]
        return ", ".join(words % {"n": n} for n, words in parts if n)

    @property
    def sentence(self) -> str:
        local = timezone.localtime(self.since)
        time = local.strftime("%H:%M" if local.date() == timezone.localdate() else "%d/%m %H:%M")
        return _("While you were away (since %(time)s): %(what)s.") % {"time": time, "what": self.summary}


def moment_of(text: str) -> datetime | None:
    """Return the moment that a page gives in milliseconds since 1970, at most `MAX_AWAY` ago; None for a text that is no
    moment, or one in the future."""
    milliseconds = whole_number(text, max_digits=13)
    if milliseconds is None:
        return None
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    now = timezone.now()
    return max(at, now - MAX_AWAY) if at < now else None


def news(access: Access, board_filter: BoardFilter, since: datetime) -> News:
    """Count what happened after `since` to the rentals of the board's filter, whatever their status. One query, and
    one where messages came that may have several codes."""
    any_status = replace(board_filter, statuses=())
    rentals = any_status.apply_to_all(Rental.objects.filter(queued_at__gt=since - MAX_OPEN), access).order_by()
    ended = Q(ended_at__gt=since)
    received = Q(received_at__gt=since)
    # A voice call counts as a code: it may be heard.
    messages = Message.objects.filter(rental=OuterRef("pk"))
    without_code = Exists(messages) & ~Exists(messages.filter(~Q(code="") | Q(is_call=True)))
    counts = rentals.annotate(without_code=without_code).aggregate(
        codes=Count("pk", filter=received & Q(without_code=False)),
        messages=Count("pk", filter=received & Q(without_code=True)),
        expired=Count("pk", filter=Q(status=Status.EXPIRED) & ended),
        refused=Count("pk", filter=Q(status=Status.REFUSED) & ended),
    )
    if counts["messages"]:
        several = _with_several_codes(rentals.filter(received, without_code))
        counts["codes"] += several
        counts["messages"] -= several
    return News(since, **counts)


def _with_several_codes(rentals: QuerySet[Rental]) -> int:
    """Count the rentals with a message that names several codes, none of which stands out: only its text tells."""
    messages = Message.objects.filter(rental__in=rentals.values("pk")).order_by()
    texts = messages.values_list("rental", "text").iterator()
    return len({rental for rental, text in texts if codes.equal_codes_beside("", text)})
