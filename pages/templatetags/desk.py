"""Filters and tags of all templates: money, moments and durations as `lib.formats` writes them, and icons."""

import html
from datetime import datetime, timedelta
from functools import cache, lru_cache
from typing import Any

from django import template
from django.forms import BoundField
from django.template import Context
from django.template.defaulttags import CsrfTokenNode
from django.templatetags.static import static
from django.utils import formats, timezone
from django.utils.html import escape, format_html, json_script
from django.utils.safestring import SafeString
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from accounts import one_time_keys
from accounts.page_team import FIELD
from accounts.policy import Access
from lib.formats import dong, grouped, span
from lib.time_zones import is_of_desk, label, offset
from lib.web import confirmation
from lib.web.jinja import rendered
from rentals.queries.tokens import TokenList

register = template.Library()
register.filter(dong)
register.filter(grouped)
register.filter(span)

_MOMENT = '<time datetime="{}" title="{}">{}</time>'
_EXACTLY = "%d/%m/%Y %H:%M:%S"
_CSRF = CsrfTokenNode()
_KEY_FIELD = f'<input type="hidden" name="{one_time_keys.FIELD}" value="%s">'
MAX_SHORT = 24  # characters of a message that fits one line of a card at 320 px


@register.simple_tag(takes_context=True)
def jinja(context: Context, name: str, **values: Any) -> SafeString:
    """Draw the template `name` of `templates/jinja2/`, with the fields that the forms of this page need."""
    csrf_input = _CSRF.render(context)  # a token of the page's, not a new one for each template
    return rendered(name, csrf_input=csrf_input, page_team=page_team(context), here=context["here"], **values)


@register.simple_tag
def icon(name: str, label: str = "") -> SafeString:
    """Draw an icon of `static/icons.svg`. Without a label it is hidden from screen readers."""
    return _drawn(_icons(), name, str(label))


@cache
def _icons() -> str:
    return static("icons.svg")


@lru_cache(maxsize=500)
def _drawn(address: str, name: str, label: str) -> SafeString:
    if label:
        return format_html(
            '<svg class="icon" role="img" aria-label="{}"><use href="{}#{}"/></svg>', label, address, name
        )
    return format_html('<svg class="icon" aria-hidden="true"><use href="{}#{}"/></svg>', address, name)


@register.filter
def clock(seconds: int) -> str:
    """Write seconds as a countdown does: `4:32`."""
    return f"{seconds // 60}:{seconds % 60:02d}"


@register.simple_tag
def moment(at: datetime | None) -> SafeString | str:
    """Write a moment briefly (today's by its time alone), with the exact one on hover. In the reader's zone."""
    if at is None:
        return ""
    zone = timezone.get_current_timezone()
    local, today = at.astimezone(zone), timezone.now().astimezone(zone).date()
    if local.date() == today:
        short = local.strftime("%H:%M")
    elif local.date() == today - timedelta(days=1):
        short = _("yesterday %(time)s") % {"time": local.strftime("%H:%M")}
    elif local.year == today.year:
        short = local.strftime("%d/%m %H:%M") if get_language() == "vi" else formats.date_format(local, "j M H:i")
    else:
        short = local.strftime("%d/%m/%Y") if get_language() == "vi" else formats.date_format(local, "j M Y")
    # By `format_html`, a third of the time of a card's times went into digits that need no escaping.
    return SafeString(_MOMENT.format(at.isoformat(timespec="seconds"), local.strftime(_EXACTLY), escape(short)))


@register.filter
def exact(at: datetime) -> str:
    """Write a moment to the second, in the reader's zone."""
    return timezone.localtime(at).strftime(_EXACTLY)


@register.simple_tag
def zone_sentence() -> str:
    """Say in which zone the page's times are, and that the days of money are Vietnam's."""
    if is_of_desk():
        return _("Times are those of Vietnam (UTC+7).")
    return _(
        "Times are those of %(zone)s (now %(offset)s). Budgets and spend are counted by the days of Vietnam (UTC+7)."
    ) % {"zone": label(), "offset": offset()}


@register.filter
def epoch(at: datetime) -> int:
    """Milliseconds since 1970, as JavaScript counts."""
    return round(at.timestamp() * 1000)


@register.simple_tag
def now_ms() -> int:
    """The server's clock as JavaScript counts, for countdowns that do not trust the browser's."""
    return epoch(timezone.now())


@register.simple_tag(takes_context=True)
def page_team(context: Context) -> SafeString | str:
    """Write the field by which a form says which team its page is of: see `accounts.page_team`."""
    access: Access | None = context.get("access")
    if access is None or access.team_id is None:
        return ""
    return format_html('<input type="hidden" name="{}" value="{}">', FIELD, str(access.team_id))


@register.simple_tag
def form_key(key: str = "") -> SafeString:
    """Write the field by which a form is told from the same one sent again: see `accounts.one_time_keys`."""
    # A desk has two for each card: `format_html` takes six times as long.
    return SafeString(_KEY_FIELD % html.escape(key or one_time_keys.new()))


@register.simple_tag
def confirm(question: str) -> SafeString:
    """Write the field by which a form asks before it destroys or buys: see `lib.web.confirmation`."""
    return confirmation.field(question)


@register.filter
def is_long(text: str) -> bool:
    """Whether a narrow card may cut a message after its one line, and so needs a stop of the keyboard that opens it."""
    return len(text) > MAX_SHORT or "\n" in text


@register.filter
def described_by(field: BoundField) -> str:
    """Return the ids that describe a field: its help and its errors."""
    ids = [f"{field.auto_id}_error"] if field.errors else []
    if field.help_text:
        ids.append(f"{field.auto_id}_help")
    return " ".join(ids)


@register.filter
def with_attrs(field: BoundField, css: str = "") -> SafeString:
    """Draw a form field's widget with our class and the ARIA attributes of its state."""
    # A placeholder that repeats the label adds nothing, and disappears while one types.
    attrs: dict[str, Any] = {"class": css, "placeholder": False} if css else {"placeholder": False}
    if field.errors:
        attrs["aria-invalid"] = "true"
    if described := described_by(field):
        attrs["aria-describedby"] = described
    return field.as_widget(attrs={**field.field.widget.attrs, **attrs})


@register.simple_tag
def outage_sentence(tokens: TokenList) -> str:
    """Say on which of a team's tokens ThueSim does not answer; `""` where it answers on all."""
    names = tokens.unanswered
    if not names:
        return ""
    if len(names) == len(tokens):
        return _("ThueSim does not answer: new orders wait, and codes may come late.")
    values = {"tokens": ", ".join(names)}
    return _("ThueSim does not answer on %(tokens)s: orders there wait, and codes may come late.") % values


_BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("SamsungBrowser", "Samsung Internet"), ("coc_coc", "Cốc Cốc"),
             ("Firefox", "Firefox"), ("Chrome", "Chrome"), ("Safari", "Safari"))  # fmt: skip
_SYSTEMS = (("iPhone", "iPhone"), ("iPad", "iPad"), ("Android", "Android"), ("Windows", "Windows"), ("Mac OS", "macOS"),
            ("CrOS", "ChromeOS"), ("Linux", "Linux"))  # fmt: skip


@register.filter
def browser_name(user_agent: str) -> str:
    """Return a browser and its system as people call them, `Firefox · Windows`, from the User-Agent header."""
    names = [next((name for word, name in words if word in user_agent), "") for words in (_BROWSERS, _SYSTEMS)]
    return " · ".join(name for name in names if name) or user_agent[:60]


@register.simple_tag
def page_words() -> SafeString:
    """Write the sentences that scripts show. Scripts fill in `{…}`."""
    return _page_words(get_language() or "")


@cache
def _page_words(language: str) -> SafeString:
    words = {
        "rented": _("Number rented for {service}: {phone}"),
        "refused": _("Not rented, {service}: {reason}"),
        "expired": _("Expired without a code: {service}, {phone}"),
        "unconfirmed": _("Being checked, {service}: {reason}"),
        "cancelled": _("Cancelled: {service}"),
        "notifyWorks": _("Notifications work in this browser."),
        "notifyCannot": _("This browser cannot show notifications of a page. Use the sound, or another browser."),
        "copied": _("Copied {what}"),
        "copiedCode": _("Copied {what} · {of}"),
        "copyFailed": _("The browser does not allow copying. Select the text and copy it by hand."),
        "noCode": _("There is no code to copy yet."),
        "chooseCode": _("{of} has {n} codes. Press the number of one, or Enter on it, to copy it."),
        "newCode": _("New code for {service}, {phone}: {code}"),
        "answersAgain": _("ThueSim answers again."),
        "newMessage": _("New message for {service}, {phone}"),
        "unrecognised": _("{service}, {phone}: no code recognised: read the message"),
        "notifyDenied": _(
            "The browser blocks notifications for this page. Allow them in its settings, then try again."
        ),
        "noConnection": _("No connection since {time}: nothing was sent. Try again once the desk answers."),
        "noAnswer": _("The desk does not answer. Look at the board before you try again."),
        "serverError": _("Something went wrong at our end. Look at the board before you try again."),
        "unavailable": _("The desk cannot take this now. What you typed is still here: send it again in a moment."),
        "forbidden": _("You may not do this, or the page is too old. Reload it."),
        "gone": _("This no longer exists. Reload the page."),
        "remove": _("Remove {what}"),
        "wait": _("waits {time}"),
        "services": _("Services"),
        "more": _("{n} more. Type more of the name."),
        "without": _("not {what}"),
        "atMost": _("at most {what}"),
    }
    return json_script(words, "words")
