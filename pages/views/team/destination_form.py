"""The form of a destination: only the fields that its kind has."""

import re
from collections.abc import Mapping
from typing import Any

from django import forms
from django.core.validators import validate_email
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import mail
from accounts.models import Team, User
from lib.encryption import Secret
from lib.network import outgoing
from lib.network.outgoing import Problem
from lib.web.long_select import LongSelect
from rentals.jobs.delivery_attempt import KEY_LOST, MAIL_REFUSED, NO_MAIL, TELEGRAM
from rentals.models import Destination, OutgoingEvent, Service

Kind = Destination.Kind
# What is wrong with an address as it is typed, or with an attempt in the log.
PROBLEMS: Mapping[str, Promise] = {
    Problem.URL: gettext_lazy("This is no address that events can be sent to. Write one such as https://example.com/hook."),
    Problem.HTTPS: gettext_lazy("Only https:// addresses are allowed."),
    Problem.PRIVATE: gettext_lazy(
        "This leads into a private network, which is not allowed. An admin can allow it by DESK_OUTGOING_ALLOW."
    ),
    Problem.NAME: gettext_lazy("This name is not known. Check its spelling."),
    Problem.CONNECT: gettext_lazy("No connection."),
    Problem.TLS: gettext_lazy("The certificate is not valid, or no secure connection could be made."),
    Problem.TIMEOUT: gettext_lazy("No answer within ten seconds."),
    Problem.BROKEN: gettext_lazy("The connection broke off."),
    NO_MAIL: gettext_lazy("The desk cannot send e-mail: EMAIL_URL is not set."),
    MAIL_REFUSED: gettext_lazy("The mail server did not take the e-mail."),
    KEY_LOST: gettext_lazy("The address cannot be decrypted any more. Enter it again."),
}  # fmt: skip
_KEPT = gettext_lazy("Now: %(now)s. Leave empty to keep it.")


class DestinationForm(forms.Form):
    """A destination of one kind; with `instance` an existing one, whose secrets are not shown and stay where left empty."""

    name = forms.CharField(label=gettext_lazy("Name"), max_length=80)
    address = forms.CharField(label=gettext_lazy("Address"), max_length=outgoing.MAX_URL)
    bot_token = forms.CharField(
        label=gettext_lazy("Bot token"),
        max_length=100,
        widget=forms.TextInput(attrs={"autocomplete": "off", "placeholder": "123456:ABC-…"}),
    )
    chat = forms.CharField(label=gettext_lazy("Chat id"), max_length=80)
    events = forms.MultipleChoiceField(
        label=gettext_lazy("Events"), choices=OutgoingEvent.choices, widget=forms.CheckboxSelectMultiple
    )
    services = forms.CharField(
        label=gettext_lazy("Only these services"),
        required=False,
        max_length=1000,
        help_text=gettext_lazy("Their ids, such as 01.2 02.97. Empty: all services."),
    )
    person = forms.ModelChoiceField(
        label=gettext_lazy("Whose rentals"),
        queryset=User.objects.none(),
        required=False,
        widget=LongSelect,
        empty_label=gettext_lazy("everyone's"),
    )
    includes_codes = forms.BooleanField(
        label=gettext_lazy("Send codes and texts of messages"),
        required=False,
        help_text=gettext_lazy(
            "Codes leave the desk: everyone who reads this destination reads them, whatever their role here. "
            "The audit log records the change."
        ),
    )

    def __init__(self, *args: Any, kind: str, team: Team, instance: Destination | None = None, **more: Any) -> None:
        if instance is not None:
            more["initial"] = _initial(instance)
        super().__init__(*args, **more)
        self.kind, self.instance = Kind(kind), instance
        people = User.objects.filter(memberships__team=team).order_by("username")
        self.fields["person"].queryset = people.only("first_name", "last_name", "username")  # type: ignore[attr-defined]
        if self.kind == Kind.TELEGRAM:
            del self.fields["address"]
        else:
            del self.fields["bot_token"], self.fields["chat"]
        if self.kind == Kind.EMAIL:
            self.fields["address"].label = _("E-mail address")
        for name in {"address", "bot_token"} & set(self.fields) if instance is not None else ():
            self.fields[name].required = False
            shown = "…" if name == "bot_token" else instance.shown_address if instance else ""
            self.fields[name].help_text = _KEPT % {"now": shown}

    def clean_address(self) -> str:
        address: str = self.cleaned_data["address"].strip()
        if not address:
            return address
        if self.kind == Kind.EMAIL:
            validate_email(address)
            if not mail.is_set_up():
                raise forms.ValidationError(str(PROBLEMS[NO_MAIL]))
            return address
        try:
            outgoing.check(address)
        except outgoing.NotSent as error:
            raise forms.ValidationError(str(PROBLEMS[error.problem])) from None
        return address.partition("#")[0]

    def clean_bot_token(self) -> str:
        token: str = self.cleaned_data["bot_token"].strip()
        if token and not re.fullmatch(r"\d+:[\w-]{10,}", token, re.ASCII):
            raise forms.ValidationError(_("This is no bot token. BotFather gives one such as 123456:ABC-DEF."))
        return token

    def clean_services(self) -> list[str]:
        keys = list(dict.fromkeys(re.split(r"[\s,;]+", self.cleaned_data["services"].strip())))
        keys = [key for key in keys if key]
        known = {service.key for service in Service.objects.only("sv", "upstream_id")}
        unknown = next((key for key in keys if key not in known), None)
        if unknown is not None:
            raise forms.ValidationError(_("There is no service %(key)s.") % {"key": unknown[:20]})
        return keys

    def values(self) -> dict[str, Any]:
        """Return the fields of the destination; secrets only where they were typed."""
        typed = self.cleaned_data
        values = {name: typed[name] for name in ("name", "events", "services", "person", "includes_codes")}
        if self.kind == Kind.TELEGRAM:
            values["chat"] = typed["chat"]
            if typed["bot_token"]:
                values["secret"] = Secret(typed["bot_token"])
            if self.instance is None:
                values["address"] = Secret(TELEGRAM)
        elif typed["address"]:
            values["address"] = Secret(typed["address"])
        return values


def _initial(destination: Destination) -> dict[str, Any]:
    return {
        "name": destination.name,
        "chat": destination.chat,
        "events": destination.events,
        "services": " ".join(destination.services),
        "person": destination.person_id,
        "includes_codes": destination.includes_codes,
    }
