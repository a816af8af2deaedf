"""Forms of the page of one's own account."""

from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.forms import OneAccount
from accounts.models import User
from lib import time_zones

PREFERENCES = ("sounds", "notifies", "counts_in_title", "copy_as", "dense_board", "codes_first", "single_keys")


class NameForm(OneAccount):
    """A person's name in one field, also where an admin has entered it in two. Do not save or show `instance`
    afterwards."""

    class Meta:
        model = User
        fields: tuple[str, ...] = ("first_name",)
        labels = {"first_name": gettext_lazy("Your name, as colleagues see it")}
        help_texts = {
            "first_name": gettext_lazy(
                "On cards, in lists and in the audit log, with your user name beside it. Empty: the user name alone."
            )
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["first_name"] = self.instance.get_full_name()
        self.fields["first_name"].widget.attrs["autocomplete"] = "name"

    def clean(self) -> dict[str, Any] | None:
        self.instance.last_name = ""
        return super().clean()


def _languages() -> list[tuple[str, str]]:
    names = {"vi": "Tiếng Việt", "en": "English"}
    return [("", _("as this browser asks for")), *((code, names.get(code, code)) for code, _name in settings.LANGUAGES)]


def _zones() -> list[tuple[str, str]]:
    others = [name for name in time_zones.names() if name != settings.TIME_ZONE]
    return [("", _("Vietnam (UTC+7)")), *((name, name.replace("_", " ")) for name in others)]


class LanguageForm(forms.ModelForm[User]):
    """The language and the time zone that a person reads."""

    language = forms.ChoiceField(
        label=gettext_lazy("Language"),
        choices=_languages,
        required=False,
        help_text=gettext_lazy("Of every page, of exports and of e-mails to you."),
    )
    time_zone = forms.ChoiceField(
        label=gettext_lazy("Time zone"),
        choices=_zones,
        required=False,
        help_text=gettext_lazy(
            "Times on every page, in exports and in e-mails to you. Budgets and spend stay with the days of Vietnam."
        ),
    )

    class Meta:
        model = User
        fields: tuple[str, ...] = ("language", "time_zone")


class PreferencesForm(forms.ModelForm[User]):
    """How the desk behaves for a person, on every browser."""

    class Meta:
        model = User
        fields: tuple[str, ...] = PREFERENCES
        labels = {
            "sounds": gettext_lazy("Sound when a code arrives"),
            "notifies": gettext_lazy("Desktop notification when a code arrives"),
            "counts_in_title": gettext_lazy("Count new codes in the title"),
            "copy_as": gettext_lazy("Copy numbers as"),
            "dense_board": gettext_lazy("Dense rows"),
            "codes_first": gettext_lazy("Newest codes first"),
            "single_keys": gettext_lazy("Single-key shortcuts"),
        }
        help_texts = {
            "sounds": gettext_lazy("Two notes while the desk is open. The browser wants one click on the page first."),
            "notifies": gettext_lazy(
                "With the code, while another window covers the desk. Each browser asks once: press the bell on the desk."
            ),
            "counts_in_title": gettext_lazy("The tab reads “(2) Desk” until you look at it."),
            "copy_as": gettext_lazy("The form that a click on a number copies."),
            "dense_board": gettext_lazy("More numbers on the screen, with smaller codes."),
            "codes_first": gettext_lazy("A number goes to the top of the desk when its code arrives."),
            "single_keys": gettext_lazy(
                "Such as c, which copies the newest code. Switch them off if you speak to your computer."
            ),
        }
