"""Forms of managers and of the people they invite. Amounts are whole đồng, typed as `200.000` or `200 000 ₫` too."""

import re
import unicodedata
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django import forms
from django.contrib.auth.forms import BaseUserCreationForm
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from accounts import api_keys, invitations, lookalikes
from accounts.memberships import NotDone
from accounts.models import Membership, Role, Scope, Team, User
from accounts.policy import has_two_factor
from accounts.sign_in import email_change
from lib.formats import dong

MAX_DONG = 10**12
MAX_PRICE = 2**31 - 1  # of its column
# 15000 or, in groups of three with one kind of mark between them, 15.000 · 15,000 · 15 000; with the currency or without.
_WHOLE_DONG = re.compile(
    r"([-−]?)\s*([0-9]+|[1-9][0-9]{0,2}(?:([.,\s])[0-9]{3}(?:\3[0-9]{3})*))\s*(?:₫|đ|đồng|dong|vnđ|vnd)?", re.IGNORECASE
)
# Django's own sentences have no grouping, and in Vietnamese a space before the full stop.
_LEAST = gettext_lazy("The amount must be at least %(limit)s.")
_MOST = gettext_lazy("The amount must be at most %(limit)s.")
_NO_LIMIT = gettext_lazy("Empty: no limit.")


class DongField(forms.IntegerField):
    """An amount in whole đồng; empty is None. `1.500` is fifteen hundred; `1.5` and `12,50` are refused, never guessed."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs = {"required": False, "min_value": 0, "max_value": MAX_DONG, **kwargs}
        super().__init__(widget=forms.TextInput(attrs={"inputmode": "numeric", "autocomplete": "off"}), **kwargs)

    def prepare_value(self, value: Any) -> Any:
        return f"{value:,}".replace(",", ".") if isinstance(value, int) else value

    def to_python(self, value: Any) -> int | None:
        text = unicodedata.normalize("NFKC", str(value)).strip() if value is not None else ""
        if not text:
            return None
        amount = _WHOLE_DONG.fullmatch(text)
        if amount is None:
            raise forms.ValidationError(
                _("“%(text)s” is no amount in whole đồng. Write it like 15000 or 15.000, without a fraction."),
                params={"text": text[:30]},
            )
        amount_typed: int | None = super().to_python(amount[1].replace("−", "-") + re.sub(r"[^0-9]", "", amount[2]))
        for sentence, limit, sign in ((_LEAST, self.min_value, -1), (_MOST, self.max_value, 1)):
            if amount_typed is not None and isinstance(limit, int) and amount_typed * sign > limit * sign:
                raise forms.ValidationError(sentence, params={"limit": dong(limit)})
        return amount_typed


class TeamNameForm(forms.ModelForm[Team]):
    """The name of a team. `by` is the person who changes it: it may not be called like another team of theirs. An admin's
    are all teams."""

    class Meta:
        model = Team
        fields: tuple[str, ...] = ("name",)

    def __init__(self, *args: Any, by: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.by = by

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        teams = Team.objects.all() if self.by.is_staff else Team.objects.filter(memberships__user=self.by)
        if teams.filter(name__iexact=name).exclude(pk=self.instance.pk).exists():
            raise forms.ValidationError(_("Another team of yours has this name already. Choose another one."))
        return name


class TeamSettingsForm(TeamNameForm):
    """The settings of a team."""

    budget_day = DongField(label=gettext_lazy("Budget per day, đồng"), help_text=_NO_LIMIT)
    budget_month = DongField(label=gettext_lazy("Budget per month, đồng"), help_text=_NO_LIMIT)
    max_price = DongField(label=gettext_lazy("Max price per number, đồng"), help_text=_NO_LIMIT, max_value=MAX_PRICE)
    low_balance = DongField(label=gettext_lazy("Warn when a token's balance falls below, đồng"))

    class Meta(TeamNameForm.Meta):
        fields: tuple[str, ...] = (
            "name",
            "budget_day",
            "budget_month",
            "max_price",
            "low_balance",
            "purpose_required",
            "shares_codes",
            "codes_fade_minutes",
            "requires_second_step",
        )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["codes_fade_minutes"].widget.attrs["max"] = 32767

    def clean_requires_second_step(self) -> bool:
        required: bool = self.cleaned_data["requires_second_step"]
        if required and not self.instance.requires_second_step and not has_two_factor(self.by):
            raise forms.ValidationError(
                _("Set up your own two-factor authentication first (menu at the top right), or you lock yourself out.")
            )
        return required


class BudgetsForm(forms.ModelForm[Membership]):
    """What one person may spend and rent in the team."""

    budget_day = DongField(label=gettext_lazy("Budget per day, đồng"), help_text=_NO_LIMIT)
    budget_month = DongField(label=gettext_lazy("Budget per month, đồng"), help_text=_NO_LIMIT)

    class Meta:
        model = Membership
        fields: tuple[str, ...] = ("budget_day", "budget_month", "rentals_per_day")


def _days() -> list[tuple[int, str]]:
    return [(days, ngettext("%d day", "%d days", days) % days) for days in invitations.DAYS]


class InviteForm(forms.Form):
    """A link for one new person."""

    note = forms.CharField(
        label=gettext_lazy("For whom"),
        max_length=80,
        required=False,
        help_text=gettext_lazy("Name, e-mail or both. The person sees it, and finds it filled in."),
    )
    role = forms.ChoiceField(label=gettext_lazy("Role"), choices=Role.choices, initial=Role.OPERATOR)
    days = forms.TypedChoiceField(
        label=gettext_lazy("Valid for"),
        coerce=int,
        choices=_days,
        initial=3,
    )


def _key_days() -> list[tuple[str, str]]:
    return [
        *((str(days), ngettext("%d day", "%d days", days) % days) for days in (7, 30, 90, 365)),
        ("", _("until it is revoked")),
    ]


class KeyForm(forms.Form):
    """A new API key."""

    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=60, help_text=gettext_lazy("What uses it: “CI tests”.")
    )
    scopes = forms.MultipleChoiceField(
        label=gettext_lazy("It may"),
        choices=Scope.choices,
        initial=list(Scope.values),
        widget=forms.CheckboxSelectMultiple,
        error_messages={"required": gettext_lazy("Choose what the key may do.")},
    )
    days = forms.ChoiceField(label=gettext_lazy("Valid for"), choices=_key_days, initial="90", required=False)
    budget_day = DongField(label=gettext_lazy("Budget per day, đồng"), help_text=_NO_LIMIT)
    budget_month = DongField(label=gettext_lazy("Budget per month, đồng"), help_text=_NO_LIMIT)
    rentals_per_day = forms.IntegerField(
        label=gettext_lazy("Rentals per day"),
        required=False,
        min_value=0,
        max_value=MAX_PRICE,
        help_text=_NO_LIMIT,
    )
    addresses = forms.CharField(
        label=gettext_lazy("Only from these addresses"),
        max_length=1000,
        required=False,
        widget=forms.Textarea(attrs={"rows": 2, "spellcheck": "false"}),
        help_text=gettext_lazy("One a line: 192.0.2.7, 10.0.0.0/8, 2001:db8::/32. Empty: from anywhere."),
    )

    def clean_addresses(self) -> list[str]:
        try:
            return api_keys.parse_addresses(self.cleaned_data["addresses"])
        except NotDone as refused:
            raise forms.ValidationError(refused.sentence) from None

    @property
    def bounds(self) -> api_keys.Bounds:
        """What the key may spend, and until when it works."""
        clean, days = self.cleaned_data, self.cleaned_data["days"]
        return {
            "expires_at": timezone.now() + timedelta(days=int(days)) if days else None,
            "budget_day": clean["budget_day"],
            "budget_month": clean["budget_month"],
            "rentals_per_day": clean["rentals_per_day"],
        }


class OneAccount(forms.ModelForm[User]):
    """Checks that user name and e-mail are of no other account, in whatever case: people sign in with either."""

    email_taken = gettext_lazy("Another person has this e-mail already. Choose another one.")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # The names of before: those that look alike since then stay.
        self._username_before, self._full_name_before = self.instance.username, self.instance.get_full_name()

    def clean_username(self) -> str:
        name: str = self.cleaned_data["username"]
        if self._others().filter(username__iexact=name).exists():
            raise forms.ValidationError(_("This user name is taken. Choose another one."))
        return name

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"]
        if email and self._others().filter(email__iexact=email).exists():
            raise forms.ValidationError(self.email_taken)
        return email

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        username = self.cleaned_data.get("username", self.instance.username)
        names = [self.cleaned_data.get(field, getattr(self.instance, field)) for field in ("first_name", "last_name")]
        full_name = " ".join(name for name in names if name)
        is_new = self.instance.pk is None
        renamed = is_new or (username, full_name) != (self._username_before, self._full_name_before)
        if renamed and any(lookalikes.has_invisible(name) for name in (username, full_name)):
            raise forms.ValidationError(lookalikes.INVISIBLE)
        if renamed and lookalikes.resembled_in(self.teams(), username, full_name, other_than=self.instance.pk):
            # Said at the name that is meant: most often two colleagues are called the same.
            is_username = lookalikes.resembled_in(self.teams(), username, other_than=self.instance.pk)
            field = "username" if is_username else "first_name"
            self.add_error(field if field in self.fields else None, lookalikes.REFUSED)
        return cleaned

    def teams(self) -> Iterable[Team | int]:
        """Return the teams in which no other person's name may look like this one."""
        return self.instance.memberships.values_list("team", flat=True) if self.instance.pk else ()

    def _others(self) -> QuerySet[User]:
        return User.objects.exclude(pk=self.instance.pk)


class EmailForm(forms.Form):
    """Another e-mail address for the account of `person`."""

    email = forms.EmailField(
        label=gettext_lazy("New e-mail address"),
        max_length=254,
        widget=forms.EmailInput(attrs={"autocomplete": "email"}),
    )

    def __init__(self, *args: Any, person: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.person = person

    def clean_email(self) -> str:
        email: str = self.cleaned_data["email"].lower()
        if email == self.person.email.lower():
            raise forms.ValidationError(_("This is your address already."))
        if email_change.is_taken(email, self.person):
            raise forms.ValidationError(OneAccount.email_taken)
        return email


class JoinForm(OneAccount, BaseUserCreationForm[User]):
    """A new account for a person who was invited."""

    email_taken = gettext_lazy("This e-mail has an account already. Sign in with that account, then open the link.")
    error_messages = {"password_mismatch": gettext_lazy("The two passwords differ. Type the same one twice.")}

    class Meta(BaseUserCreationForm.Meta):
        model = User
        fields = ("username", "first_name", "email")
        labels = {"first_name": gettext_lazy("Your name, as colleagues see it"), "email": gettext_lazy("E-mail")}
        help_texts = {"username": ""}

    def __init__(self, *args: Any, team: Team | None = None, note: str = "", **kwargs: Any) -> None:
        """`note` says for whom the invitation is: the name and the e-mail in it are filled in."""
        name, email = invitations.name_and_email(note)
        super().__init__(*args, initial={"first_name": name, "email": email}, **kwargs)
        self.team = team
        self.fields["first_name"].widget.attrs["autocomplete"] = "name"
        self.fields["email"].widget.attrs["autocomplete"] = "email"
        password, again = self.fields["password1"], self.fields["password2"]
        password.help_text = _("At least 10 characters, and not a common password.")
        again.label, again.help_text = _("Password again"), ""

    def full_clean(self) -> None:
        """Check, and let the field to mend first have the focus: of two passwords, which are both typed anew, the first."""
        super().full_clean()
        wrong = next((name for name in self.fields if name in self.errors), None)
        if wrong:
            for field in self.fields.values():
                field.widget.attrs.pop("autofocus", None)
            self.fields["password1" if wrong == "password2" else wrong].widget.attrs["autofocus"] = True

    def validate_password_for_user(self, user: User, password_field_name: str = "password1") -> None:  # noqa: S107 - its name
        """Say what is wrong with a password where it was typed first, not where it was repeated."""
        super().validate_password_for_user(user, password_field_name)  # type: ignore[misc]  # allauth has no types

    def teams(self) -> Iterable[Team | int]:
        return (self.team,) if self.team else ()
