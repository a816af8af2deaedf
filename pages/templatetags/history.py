"""How the history's rows and its filters' choices are drawn: fifty rows at once, in Python. A template takes five times
as long for so many small things, longer than the database takes to find them among a million."""

from collections.abc import Iterable

from django import template
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

from accounts.policy import Access
from lib.fast_html import draw
from lib.formats import dong
from pages.presenters.cards import Card, card_for
from pages.presenters.rental import deleted_sentence
from pages.templatetags.desk import clock, epoch, icon, moment
from rentals.models import Rental

register = template.Library()

_SELECTED = SafeString(" selected")
_OPTION = '<option value="{}"{}>{}</option>'
# Addresses are relative to the history's own.
_ROW = """<tr role="row" id="rental-{pk}" class="row is-{status}" data-testid="rental" data-rental-id="{pk}" data-status="{status}">
<td role="cell" class="row-when"><a href="{pk}/">{when}<span class="sr"> {rental} {pk}</span></a></td>
<td role="cell" class="row-phone">{phone}{network}</td>
<td role="cell" class="row-service">{service}{purpose}</td>
<td role="cell" class="row-code">{code}{said}{reason}</td>
<td role="cell" class="row-state"><span class="state">{icon}<span>{state}</span></span>{expires}</td>
<td role="cell" class="row-price">{price}</td>
<td role="cell" class="row-who">{who}</td>
<td role="cell" class="row-do">{again}</td>
</tr>
"""  # noqa: E501
_PHONE = (
    '<button type="button" class="phone" data-copy-phone data-testid="phone" data-national="{}" data-digits="{}"'
    ' data-international="{}" title="{}">{}</button>'
)
_NETWORK = '<span class="row-network" data-testid="network">{}</span>'
_PURPOSE = '<span class="row-purpose">{}</span>'
_CODE = (
    '<button type="button" class="row-digits" data-copy="{}" title="{}"><span data-testid="code" aria-hidden="true">{}'
    '</span><span class="sr">{}</span></button>'
)
_MASK = '<span class="row-mask"><span data-testid="code" aria-hidden="true">{}</span><span class="sr">{}</span></span>'
_SAID = '<span class="row-sms" data-testid="sms" dir="auto">{}</span>'
_REASON = '<span class="row-sms" data-testid="reason">{}</span>'
_DELETED = '<span class="row-sms">{}</span>'
_EXPIRES = '<time data-testid="expires" data-expires="{}" datetime="{}">{}</time>'
_PRICE = '<span data-testid="price">{}</span>'
_AGAIN = '<button class="tool" form="again" formaction="{}/again/" title="{}">{}<span class="sr">{}</span></button>'


@register.simple_tag
def options(choices: Iterable[tuple[str, str]], chosen: str) -> SafeString:
    """Draw the `<option>`s of a list: pairs of value and label."""
    drawn = (draw(_OPTION, value, _SELECTED if value == chosen else "", label) for value, label in choices)
    return SafeString("".join(drawn))


@register.simple_tag
def history_rows(rentals: Iterable[Rental], access: Access) -> SafeString:
    """Draw a row for each rental that comes from `for_rows()`. Reads nothing more. The page has a form `again`."""
    words = {
        "rental": _("Rental"),
        "copy_number": _("Copy the number"),
        "copy_code": _("Copy the code"),
        "hidden": _("Code hidden"),
        "again": _("Rent again"),
        "you": _("you"),
        "imported": _("imported"),
    }
    return SafeString("".join(_row(card_for(rental, access), words) for rental in rentals))


def _row(card: Card, words: dict[str, str]) -> SafeString:
    rental, phone = card.rental, card.phone
    who = words["you"] if card.mine else rental.person or words["imported"]
    forms = phone and (phone.national, phone.digits, phone.international, words["copy_number"], phone.national)
    return draw(
        _ROW,
        pk=str(rental.pk),
        status=rental.status,
        when=moment(rental.queued_at),
        rental=words["rental"],
        phone=draw(_PHONE, *forms) if forms else "",
        network=_where(_NETWORK, rental.network),
        service=rental.service.name,
        purpose=_where(_PURPOSE, rental.purpose),
        code=_code(card, words),
        said=draw(_SAID, card.sms) if card.message else _where(_DELETED, deleted_sentence(rental)),
        reason=_where(_REASON, card.reason),
        icon=icon(card.icon),
        state=card.status_label,
        expires=_expires(card),
        price=_where(_PRICE, dong(rental.price)),
        who=who,
        again=draw(_AGAIN, str(rental.pk), words["again"], icon("again"), words["again"])
        if card.may.rent_again
        else "",
    )


def _where(markup: str, text: str) -> SafeString | str:
    """Draw what there is something to say of."""
    return draw(markup, text) if text else ""


def _code(card: Card, words: dict[str, str]) -> SafeString | str:
    if not card.code:
        return ""
    if card.masked:
        return draw(_MASK, card.code, words["hidden"])
    return draw(_CODE, card.code, words["copy_code"], card.code, card.spoken_code)


def _expires(card: Card) -> SafeString | str:
    at = card.expires_at
    return draw(_EXPIRES, str(epoch(at)), at.isoformat(), clock(card.seconds_left)) if at else ""
