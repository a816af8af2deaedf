"""The form of an order. Errors are shown at their field, and what was typed stays."""

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django import forms
from django.db.models import Case, Q, Value, When
from django.db.models.functions import Concat
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import one_time_keys
from accounts.forms import MAX_DONG, MAX_PRICE, DongField
from accounts.models import User
from accounts.one_time_keys import Key
from accounts.policy import Access, people_who_may_rent
from lib.first_rows import first_rows
from lib.formats import dong, span
from lib.web.long_select import LongSelect
from lib.web.query_params import whole_number
from rentals import bookkeeping, orders
from rentals.jobs.statistics import DAYS, BestChoice, SeenServices, ServiceLine, lines_of, seen_services
from rentals.models import BalanceQuestion, LedgerEntry, Network, Rental, Service, Token
from rentals.models.catalog import searchable, with_key
from rentals.queries.prices import price_at
from rentals.queries.tokens import TokenList, token_list
from rentals.token_adding import ValueField, owner_of

KEEP_TRYING_MINUTES = (0, 2, 5, 10, 30, 60)
# Of a person's latest orders on the page, this many are read for their purposes; so many different ones are offered again.
LATEST_ORDERS = 40
MAX_PURPOSES = 8
# They are looked for among so many of the person's latest rentals: a program with the person's key may make any number.
LATEST_RENTALS = 1000
# So many services stand in the list when the page comes; what is typed finds the others, so many at a time.
MAX_OFFERS, MAX_FOUND = 150, 80


class Offer(NamedTuple):
    """A service as a line of the list; `rated` if the text has its success rate. `best` is its best choice now, None where
    there is none, and `advice` names it with what it rests on."""

    service: Service
    text: str
    rated: bool
    starred: bool
    best: BestChoice | None = None
    advice: str = ""


def _offer(line: ServiceLine, networks: Collection[str], max_price: int | None) -> Offer:
    """Write name, price, waiting time and success rate in one line. `networks` can be ordered now; above `max_price` the
    team orders nothing, so there is no choice to advise."""
    service, success = line.service, line.figure.success
    parts = [service.name, dong(service.price) or "–", span(service.seconds)]
    if success is not None:
        parts.append(_("code in {percent}").format(percent=f"{success} %"))
    too_dear = max_price is not None and (service.price or 0) > max_price
    best = line.best if line.best and line.best.network in networks and not too_dear else None
    return Offer(service, " · ".join(parts), success is not None, line.starred, best, _advice(best) if best else "")


def _advice(best: BestChoice) -> str:
    """Say where codes cost the team least, and what that rests on."""
    return _(
        "Best choice now: {where}, {cost} a code instead of {all} ({codes} of {ended} gave one, your team's {days} days)."
    ).format(
        days=DAYS,
        where=best.figure.name,
        cost=dong(best.figure.cost_per_code),
        codes=best.figure.received,
        ended=best.figure.ended,
        all=dong(best.overall.cost_per_code),
    )


def offers(access: Access, lines: Iterable[ServiceLine], networks: Iterable[str]) -> list[tuple[str, list[Offer]]]:
    """Return services as lines of the list, under their headings. `networks` can be ordered now."""

    def heading(line: ServiceLine) -> str:
        return _("Starred") if line.starred else _("Used by your team") if line.used else _("All others")

    offered, max_price = frozenset(networks), access.team.max_price if access.team else None
    groups: dict[str, list[Offer]] = {}
    for line in lines:
        groups.setdefault(heading(line), []).append(_offer(line, offered, max_price))
    return list(groups.items())


def offers_like(access: Access, text: str) -> tuple[list[ServiceLine], int]:
    """Return the first services that the team may order and whose name has each word of `text`, or whose key begins with it;
    and how many more there are. Those come first whose key or name begins with it, then those with a word that does.
    Three queries at most."""
    words = searchable(text).split()
    if not words:
        return [], 0
    has_words = Q(*(Q(search_name__contains=word) for word in words))
    begins = Q(key_text__startswith=text)
    key = Case(When(sv="", then="upstream_id"), default=Concat("sv", Value("."), "upstream_id"))
    place = Case(
        When(begins, then=0),
        When(search_name__startswith=words[0], then=1),
        When(search_name__contains=f" {words[0]}", then=2),
        default=3,
    )
    seen = seen_services(access).filter(allowed=True).annotate(key_text=key)
    found = seen.filter(has_words | begins).annotate(place=place)
    services, more = first_rows(found.order_by("place", *seen.query.order_by), MAX_FOUND)
    return lines_of(access, services), more


def _services_named(text: str) -> list[Service]:
    """Return the services on offer with this key, or else with this ID, or else with this name. One query."""
    text = text.strip()
    if not text:
        return []
    name = searchable(text)
    named = with_key(text) | Q(upstream_id=text) | Q(search_name=name)
    services = list(Service.objects.filter(named, active=True))
    return (
        [service for service in services if service.key == text]
        or [service for service in services if service.upstream_id == text]
        or [service for service in services if service.search_name == name]
    )


class PrefixField(forms.CharField):
    """Prefixes as `96|97` or `096, 97`; cleaned to a list without leading zeros."""

    def clean(self, value: Any) -> list[str]:
        try:
            return orders.parse_prefixes(super().clean(value))
        except orders.OrderRefused as refused:
            raise forms.ValidationError(refused.sentence) from None


class RentForm(forms.Form):
    """One order for one number. `service` takes `SV.ID`, `ID` or a service's name."""

    service = forms.CharField(
        label=gettext_lazy("Service"),
        max_length=160,
        error_messages={"required": gettext_lazy("Choose a service first: type a part of its name.")},
    )
    networks = forms.MultipleChoiceField(
        label=gettext_lazy("Networks"),
        required=False,
        error_messages={
            "invalid_choice": gettext_lazy("ThueSim does not offer the network “%(value)s” now. Choose another one.")
        },
    )
    prefixes = PrefixField(label=gettext_lazy("Prefixes"), required=False, max_length=200)
    exclude_prefixes = PrefixField(label=gettext_lazy("Excluded prefixes"), required=False, max_length=200)
    purpose = forms.CharField(label=gettext_lazy("Purpose"), required=False, max_length=120)
    max_price = DongField(label=gettext_lazy("Max price, đồng"), max_value=MAX_PRICE)
    keep_trying = forms.IntegerField(
        label=gettext_lazy("If none is free"),
        required=False,
        min_value=0,
        max_value=orders.MAX_KEEP_TRYING_MINUTES,
    )
    token = forms.ModelChoiceField(
        label=gettext_lazy("Token"),
        queryset=Token.objects.none(),
        required=False,
        error_messages={
            "invalid_choice": gettext_lazy("This token is not one of your team's. Choose another one."),
        },
    )

    def __init__(self, *args: Any, access: Access, earlier: "RentForm | None" = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.access = access
        if earlier is not None:
            # The same request has read the services and the networks already: five queries less.
            self._first_services, self.suggestions = earlier._first_services, earlier.suggestions
        self.fields["purpose"].initial = self._last_purpose
        self.fields["networks"].choices = [(name, name) for name in self.network_names]  # type: ignore[attr-defined]
        self.fields["token"].queryset = Token.objects.filter(teams=access.team_id)  # type: ignore[attr-defined]

    @cached_property
    def _allowed(self) -> SeenServices:
        return seen_services(self.access).filter(allowed=True)

    @cached_property
    def _first_services(self) -> tuple[list[ServiceLine], int]:
        services, more = first_rows(self._allowed, MAX_OFFERS)
        return lines_of(self.access, services), more

    @property
    def choices(self) -> list[ServiceLine]:
        """The first services to choose from: the person's stars, then what the team uses most, then the rest by name."""
        return self._first_services[0]

    @property
    def more_services(self) -> int:
        """How many services there are to choose from beside `choices`."""
        return self._first_services[1]

    @property
    def groups(self) -> list[tuple[str, list[Offer]]]:
        """The choices under their headings, and the service that is chosen already."""
        chosen, lines = self.chosen_service, self.choices
        if chosen is not None and all(line.service != chosen for line in lines):
            lines = lines + lines_of(self.access, self._allowed.filter(pk=chosen.pk))
        return offers(self.access, lines, self.network_names)

    @cached_property
    def purposes(self) -> list[str]:
        """The purposes of the person's latest orders on the page, latest first; `""` for an order without one. One query.

        What a program ordered with the person's key is not for the person's work, nor is a number that a colleague handed
        over.
        """
        theirs = Rental.objects.visible_to(self.access).filter(person=self.access.person_id).order_by("-queued_at")
        latest = Rental.objects.filter(pk__in=theirs.values("pk")[:LATEST_RENTALS], api_key=None, ordered_by=None)
        purposes = latest.order_by("-queued_at").values_list("purpose", flat=True)[:LATEST_ORDERS]
        return list(dict.fromkeys(purposes))[:MAX_PURPOSES]

    @cached_property
    def suggestions(self) -> dict[str, list[str]]:
        """The networks to choose from, each with the prefixes that likely belong to it. One query."""
        by_network: dict[str, list[str]] = {}
        networks = Network.objects.filter(active=True).order_by("pk", "prefixes__digits")
        for name, digits in networks.values_list("name", "prefixes__digits"):
            by_network.setdefault(name, []).extend([digits] if digits else [])
        return by_network

    @property
    def network_names(self) -> list[str]:
        """The networks to choose from."""
        return list(self.suggestions)

    @cached_property
    def tokens(self) -> TokenList:
        """The tokens to choose from, as they are now."""
        return token_list(self.access)

    @property
    def token_choices(self) -> list[tuple[str, str]]:
        """The tokens by key, in the order of their names; those that the desk lists with their balance and how many of their
        waiting places are taken."""
        texts = [
            (line.token, f"{line.token.name} · {dong(line.balance) or '–'} · {line.places}")
            for line in self.tokens.lines
        ] + [(token, token.name) for token in self.tokens.others]
        return [(str(token.pk), text) for token, text in sorted(texts, key=lambda pair: pair[0].name)]

    @property
    def chosen_token(self) -> str:
        return str(self["token"].value() or "")

    def _last_purpose(self) -> str:
        return next(iter(self.purposes), "")

    @property
    def keep_trying_choices(self) -> list[tuple[int, str]]:
        return [
            (minutes, _("keep trying for %(n)s min") % {"n": minutes} if minutes else _("stop at once"))
            for minutes in KEEP_TRYING_MINUTES
        ]

    @cached_property
    def chosen_service(self) -> Service | None:
        """The service that the field's text names, if it names exactly one. One query at most."""
        services = self._services_named(str(self["service"].value() or ""))
        return services[0] if len(services) == 1 else None

    def _services_named(self, text: str) -> list[Service]:
        # The key of one that is listed needs no query: the form is drawn anew after the order.
        return [line.service for line in self.choices if line.service.key == text] or _services_named(text)

    def clean_service(self) -> Service:
        text = self.cleaned_data["service"]
        services = self._services_named(text)
        if not services:
            raise forms.ValidationError(
                _("There is no service “%(text)s”. Type a part of its name and choose from the list."),
                params={"text": text},
            )
        if len(services) > 1:
            raise forms.ValidationError(_("This service is on several servers. Choose one of them from the list."))
        return services[0]

    def clean_keep_trying(self) -> int:
        return self.cleaned_data["keep_trying"] or 0

    @cached_property
    def key(self) -> str:
        """The one-time key to send this form with: what was refused is sent with the same one again."""
        return self.data.get(one_time_keys.FIELD) or one_time_keys.new()

    def renew_key(self) -> None:
        """Let the form be sent for another order."""
        self.key = one_time_keys.new()

    def order(self, person: User, key: Key | None = None) -> Rental | None:
        """Take the order. None if something is wrong: the form then has the errors.

        Raises `orders.OrderedAlready` where a form with this key has ordered before.
        """
        if not self.is_valid() or self.access.team is None:
            if taken := orders.taken_with(key):  # what it ordered may not be on offer any more
                raise orders.OrderedAlready(taken, differs=True)
            return None
        wishes = dict(self.cleaned_data)
        wishes["keep_trying_minutes"] = wishes.pop("keep_trying")
        try:
            return orders.take_order(
                orders.Order(person=person, team=self.access.team, price_seen=self._price_seen(), **wishes), key=key
            )
        except orders.OrderRefused as refused:
            self.add_error(refused.field if refused.field in self.fields else None, refused.sentence)
            return None

    def _price_seen(self) -> int | None:
        """Return the price that the page showed: as its script says, else as it was when the page was made, by its field
        `shown_at` (ms since 1970). None for a program, which sends neither."""
        seen = whole_number(self.data.get("price_seen"))
        shown_at = whole_number(self.data.get("shown_at"), max_digits=13)
        if seen is not None or shown_at is None:
            return seen
        return price_at(self.cleaned_data["service"], datetime.fromtimestamp(shown_at / 1000, UTC))

    def next_order(self) -> "RentForm":
        """Return the form for another order: the same wishes, no service, so that a second Enter buys nothing.

        What one service may cost says nothing about the next.
        """
        of_the_service = {"service", "max_price"}
        wishes = {name: self[name].data for name in self.fields if name not in of_the_service}
        return RentForm(initial=wishes, access=self.access, earlier=self)


class HandOverForm(forms.Form):
    """To whom a number is handed over: somebody else of the team who may rent."""

    person = forms.ModelChoiceField(
        label=gettext_lazy("To whom"),
        queryset=User.objects.none(),
        widget=LongSelect,
        empty_label=gettext_lazy("Choose a person"),
        error_messages={
            "required": gettext_lazy("Choose the person who gets the number."),
            "invalid_choice": gettext_lazy("This person may not rent in your team now. Choose another one."),
        },
    )

    def __init__(self, *args: Any, rental: Rental, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.people = people_who_may_rent(rental.team).exclude(pk=rental.person_id or 0)
        self.fields["person"].queryset = self.people  # type: ignore[attr-defined]


_NOTE = gettext_lazy("Say in a few words what it was: the next person who looks will want to know.")


class AnswerForm(forms.Form):
    """What the money of an open question was: `refunds` of rentals, and for the rest a top-up or a correction."""

    answer = forms.TypedChoiceField(
        choices=BalanceQuestion.Answer.choices,
        coerce=BalanceQuestion.Answer,
        error_messages={"required": gettext_lazy("Choose what the money was.")},
    )
    refunds = forms.TypedMultipleChoiceField(coerce=int, required=False)
    note = forms.CharField(max_length=200, required=False)

    def __init__(self, *args: Any, question: BalanceQuestion, access: Access, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        possible = bookkeeping.refundable_for(question, access)
        refunds = self.fields["refunds"]
        refunds.choices = [(rental.pk, str(rental)) for rental in possible]  # type: ignore[attr-defined]
        refunds.error_messages["invalid_choice"] = _(
            "One of these rentals has been refunded already. Look at the page again."
        )

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        if cleaned.get("answer") == BalanceQuestion.Answer.CORRECTION and not cleaned.get("note"):
            self.add_error("note", str(_NOTE))
        return cleaned


def _entry_kinds() -> list[tuple[str, str]]:
    return [(kind, str(kind.label).capitalize()) for kind in (LedgerEntry.Kind.TOP_UP, LedgerEntry.Kind.CORRECTION)]


class EntryForm(forms.Form):
    """A top-up or a correction that a manager enters, in whole đồng."""

    token = forms.ModelChoiceField(
        label=gettext_lazy("Token"), queryset=Token.objects.none(), empty_label=None, widget=LongSelect
    )
    kind = forms.TypedChoiceField(
        label=gettext_lazy("Kind"),
        choices=_entry_kinds,
        coerce=LedgerEntry.Kind,
    )
    amount = DongField(
        label=gettext_lazy("Amount, đồng"),
        required=True,
        min_value=-MAX_DONG,
        help_text=gettext_lazy("A correction that takes money away begins with a minus."),
    )
    note = forms.CharField(label=gettext_lazy("Note"), max_length=200, required=False)

    def __init__(self, *args: Any, tokens: Collection[tuple[int, str]], **kwargs: Any) -> None:
        """`tokens`: the keys and names of those to choose from."""
        super().__init__(*args, **kwargs)
        token: Any = self.fields["token"]
        token.queryset = Token.objects.filter(pk__in=[pk for pk, _name in tokens])
        # By itself the field would read them once for its options, and once to see whether there is an empty one.
        token.choices = list(tokens)

    def clean(self) -> dict[str, Any]:
        cleaned: dict[str, Any] = super().clean() or {}
        kind, amount = cleaned.get("kind"), cleaned.get("amount")
        if amount == 0 or (amount is not None and amount < 0 and kind == LedgerEntry.Kind.TOP_UP):
            self.add_error("amount", _("A top-up is more than nothing; a correction is not 0."))
        if kind == LedgerEntry.Kind.CORRECTION and not cleaned.get("note"):
            self.add_error("note", str(_NOTE))
        return cleaned


class TakeBackForm(forms.Form):
    """Why a line was booked by mistake."""

    note = forms.CharField(max_length=200, error_messages={"required": _NOTE})


class NewTokenForm(forms.Form):
    """A token for the desk. That ThueSim takes it is found out by asking: see `rentals.token_adding`."""

    new_value = ValueField(
        label=gettext_lazy("API token"),
        help_text=gettext_lazy("ThueSim is asked about it first. It is stored encrypted, and never shown again."),
    )
    name = forms.CharField(
        label=gettext_lazy("Name"),
        max_length=80,
        help_text=gettext_lazy("What your people call it on the desk."),
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["new_value"].widget.attrs["autofocus"] = True

    def clean_new_value(self) -> str:
        value: str = self.cleaned_data["new_value"]
        if other := owner_of(value):
            raise forms.ValidationError(
                _("This token is here already, as “%(name)s”. Give that token to the team.") % {"name": other.name}
            )
        return value

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if Token.objects.filter(name=name).exists():
            raise forms.ValidationError(_("Another token has this name already. Choose another one."))
        return name


class TokenTeamsForm(forms.ModelForm[Token]):
    """Which teams may rent on a token."""

    class Meta:
        model = Token
        fields = ("teams",)
        widgets = {"teams": forms.CheckboxSelectMultiple}
        labels = {"teams": gettext_lazy("Who may rent on the token")}
        error_messages = {"teams": {"required": gettext_lazy("Choose at least one team, or nobody can rent on it.")}}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["teams"].required = True
