"""The name of the first team: made in the language of the settings, given anew in that of the first person who signs in."""

from django.conf import settings
from django.utils import translation
from django.utils.translation import gettext as _

from accounts.audit import Action
from accounts.models import AuditRecord, Team


def first_name() -> str:
    """Return the name of the first team in the active language."""
    return _("Team 1")


def name_for_first_person() -> None:
    """Name the team in the active language, if it is the only one, has its first name, and nobody ever signed in."""
    teams = list(Team.objects.all()[:2])
    if len(teams) == 1 and teams[0].name in _names() and not AuditRecord.objects.filter(action=Action.SIGN_IN).exists():
        Team.objects.filter(pk=teams[0].pk).update(name=first_name())


def _names() -> set[str]:
    names = set()
    for code, _label in settings.LANGUAGES:
        with translation.override(code):
            names.add(first_name())
    return names
