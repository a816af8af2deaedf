"""The order as a person gives it. What is wrong is said at the field; what was typed stays."""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from django import forms
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from accounts.policy import Access
from rentals import ordering
from rentals.models import Network, Prefix, Rental, Service, Status, Token
from rentals.models.catalog import searchable
from rentals.token_states import TokenState, token_states

# How many of the team's latest rentals tell which services are used most, and how often a code comes.
LATEST = 500
ENOUGH_TO_TELL = 5
KEEP_TRYING_MINUTES = (0, 2, 5, 10, 30, 60)


@dataclass(frozen=True, slots=True)
class ServiceChoice:
    """A service in the list: how often the team used it lately, and in how many per cent of these a code came."""

    service: Service
    used: int
    success: int | None


def service_choices(access: Access) -> list[ServiceChoice]:
    """Return the services on offer, the team's most used first, then by name. Two queries."""
    latest = Rental.objects.visible_to(access).order_by("-queued_at", "-pk").values_list("service", "status")[:LATEST]
    used: Counter[int] = Counter()
    ended: Counter[int] = Counter()
    received: Counter[int] = Counter()
    for service_id, status in latest:
        used[service_id] += 1
        ended[service_id] += status in {Status.RECEIVED, Status.EXPIRED}
        received[service_id] += status == Status.RECEIVED
    choices = [
        ServiceChoice(
            service,
            used[service.pk],
            round(100 * received[service.pk] / ended[service.pk]) if ended[service.pk] >= ENOUGH_TO_TELL else None,
        )
        for service in Service.objects.filter(active=True)
    ]
    return sorted(choices, key=lambda choice: -choice.used)


class PrefixField(forms.CharField):
    """Prefixes as `96|97` or `096, 97`; cleaned to a list without leading zeros."""

    def clean(self, value: Any) -> list[str]:
        try:
            return ordering.parse_prefixes(super().clean(value))
        except ordering.OrderRefused as refused:
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
    prefixes = PrefixField(label=gettext_lazy("Prefixes wanted"), required=False, max_length=200)
    exclude_prefixes = PrefixField(label=gettext_lazy("Prefixes not wanted"), required=False, max_length=200)
    purpose = forms.CharField(label=gettext_lazy("Purpose"), required=False, max_length=120)
    keep_trying = forms.IntegerField(
        label=gettext_lazy("If none is free"),
        required=False,
        min_value=0,
        max_value=ordering.LONGEST_KEEP_TRYING_MINUTES,
    )
    token = forms.ModelChoiceField(
        label=gettext_lazy("Token"),
        queryset=Token.objects.none(),
        required=False,
        error_messages={
            "invalid_choice": gettext_lazy("This token is not one of your team's. Choose another one."),
        },
    )

    def __init__(self, *args: Any, access: Access, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.access = access
        self.fields["networks"].choices = [(name, name) for name in self.network_names]  # type: ignore[attr-defined]
        self.fields["token"].queryset = Token.objects.filter(teams=access.team_id)  # type: ignore[attr-defined]

    @cached_property
    def choices(self) -> list[ServiceChoice]:
        """The services to choose from."""
        return service_choices(self.access)

    @cached_property
    def network_names(self) -> list[str]:
        """The networks to choose from."""
        return list(Network.objects.filter(active=True).values_list("name", flat=True))

    @cached_property
    def tokens(self) -> list[TokenState]:
        """The tokens to choose from, as they stand."""
        return token_states(self.access)

    @cached_property
    def suggestions(self) -> dict[str, list[str]]:
        """The prefixes that likely belong to each network."""
        found: dict[str, list[str]] = {}
        for digits, name in Prefix.objects.filter(network__active=True).values_list("digits", "network__name"):
            found.setdefault(name, []).append(digits)
        return found

    @property
    def keep_trying_choices(self) -> list[tuple[int, str]]:
        return [
            (minutes, _("keep trying for %(n)s min") % {"n": minutes} if minutes else _("tell me at once"))
            for minutes in KEEP_TRYING_MINUTES
        ]

    @property
    def chosen_service(self) -> Service | None:
        """The service that the field's text means, if it means exactly one."""
        found = self._services_meant(str(self["service"].value() or ""))
        return found[0] if len(found) == 1 else None

    def _services_meant(self, text: str) -> list[Service]:
        text = text.strip()
        services = [choice.service for choice in self.choices]
        wanted = searchable(text)
        return (
            [service for service in services if service.key == text]
            or [service for service in services if service.upstream_id == text]
            or [service for service in services if service.search_name == wanted]
        )

    def clean_service(self) -> Service:
        text = self.cleaned_data["service"]
        found = self._services_meant(text)
        if not found:
            raise forms.ValidationError(
                _("There is no service “%(text)s”. Type a part of its name and choose from the list."),
                params={"text": text},
            )
        if len(found) > 1:
            raise forms.ValidationError(_("This service lives on several servers. Choose one of them from the list."))
        return found[0]

    def clean_keep_trying(self) -> int:
        return self.cleaned_data["keep_trying"] or 0

    def order(self, person: User) -> Rental | None:
        """Place the order. None where something is wrong: the form then says what."""
        if not self.is_valid() or self.access.team is None:
            return None
        wishes = dict(self.cleaned_data)
        wishes["keep_trying_minutes"] = wishes.pop("keep_trying")
        try:
            return ordering.take_order(person=person, team=self.access.team, **wishes)
        except ordering.OrderRefused as refused:
            self.add_error(refused.field if refused.field in self.fields else None, refused.sentence)
            return None

    def next_order(self) -> "RentForm":
        """Return the form for another order: the same wishes, no service, so that a second Enter buys nothing."""
        wishes = {name: self[name].value() for name in self.fields if name != "service"}
        return RentForm(initial=wishes, access=self.access)
