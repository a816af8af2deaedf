"""Joining a team by a link: made by a manager, valid for one person, for some days."""

import base64
import re
import secrets
from datetime import timedelta

from django.db import transaction
from django.utils import timezone
from django.utils.crypto import salted_hmac
from django.utils.translation import gettext as _

from accounts import audit, lookalikes
from accounts.audit import Action, about
from accounts.memberships import NotDone
from accounts.models import Invitation, Membership, Role, Team, User
from accounts.one_time_keys import Key
from accounts.policy import Access
from lib import announce
from lib.encryption import digest

DAYS = (1, 3, 7, 14)
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def invite(
    by: User, team: Team, *, role: Role, note: str = "", days: int = 3, key: Key | None = None
) -> tuple[Invitation, str]:
    """Make an invitation. Returns it with the secret of its link, of which only the digest is stored.

    With a `key`, the same form sent again gets the same invitation and link. Raises `NotDone` where it asks for another
    one than before, or the first one is over.
    """
    secret = _secret_for(key, team) if key else secrets.token_urlsafe(32)
    wanted = {"team": team, "role": role, "note": note[:80], "invited_by": by}
    with transaction.atomic():
        expires_at = timezone.now() + timedelta(days=days)
        invitation, made = Invitation.objects.get_or_create(
            secret_digest=digest(secret), defaults={**wanted, "expires_at": expires_at}
        )
        if made:
            detail = {"role": role.value, "days": days}
            audit.record(Action.INVITE, person=by, team=team, target=note or about(invitation), detail=detail)
    if not made and any(getattr(invitation, name) != value for name, value in wanted.items()):
        raise NotDone(_("This form has made a link already. Make another one on this fresh page."))
    if not made and find(secret) is None:
        raise NotDone(_("The link that this form made is over. Make a new one on this fresh page."))
    return invitation, secret


def _secret_for(key: Key, team: Team) -> str:
    """Return the secret of the one link that a form makes. Only the same form makes it again."""
    made_of = f"{key.owner} {team.pk} {key.key}"
    mac = salted_hmac("accounts.invitations", made_of, algorithm="sha256").digest()
    return base64.urlsafe_b64encode(mac).decode().rstrip("=")


def name_and_email(note: str) -> tuple[str, str]:
    """Return the name and the e-mail address in the note of an invitation, `Lan Vũ <lan@example.com>`; `""` for what it
    lacks."""
    email = next((word for word in (part.strip("<>()[],;\"'") for part in note.split()) if _EMAIL.fullmatch(word)), "")
    name = " ".join(note.replace(email, " ").split()) if email else note.strip()
    return name.strip("<>()[],;:–-\"' "), email


def revoke(by: User, access: Access, invitation: Invitation) -> bool:
    """End an invitation before it is used. False where it was used, revoked or expired already."""
    if not access.manages or invitation.team_id != access.team_id:
        return False
    usable = Invitation.objects.filter(Invitation.usable(), pk=invitation.pk)
    with transaction.atomic():
        if not usable.update(revoked_at=timezone.now()):
            return False
        target = invitation.note or about(invitation)
        audit.record(Action.INVITE_REVOKED, person=by, team=invitation.team, target=target)
    return True


def find(secret: str) -> Invitation | None:
    """Return the invitation behind a link, if it is still usable."""
    invitations = Invitation.objects.filter(
        Invitation.usable(), secret_digest=digest(secret), invited_by__is_active=True
    ).select_related("team", "invited_by")
    return invitations.first()


def joined_by(secret: str) -> User | None:
    """Return the person who joined by a link; None if it was not used."""
    used = Invitation.objects.filter(secret_digest=digest(secret), used_by__isnull=False).select_related("used_by")
    invitation = used.first()
    return invitation.used_by if invitation else None


@transaction.atomic
def accept(invitation: Invitation, person: User) -> Membership:
    """Make `person` a member. Raises `NotDone` where the link was used meanwhile, or they are a member already."""
    if Membership.objects.filter(user=person, team=invitation.team).exists():
        raise NotDone(_("You are in this team already."))
    if lookalikes.resembled_in([invitation.team], person.username, person.get_full_name(), other_than=person.pk):
        raise NotDone(lookalikes.REFUSED)
    # The row's own columns alone: a condition on another table would make this an update by subquery, which
    # PostgreSQL does not look at again after waiting for the row, and two people at once would both get in.
    usable = Invitation.objects.filter(Invitation.usable(), pk=invitation.pk)
    inviter_is_active = User.objects.filter(pk=invitation.invited_by_id, is_active=True).exists()
    if not inviter_is_active or not usable.update(used_at=timezone.now(), used_by=person):
        raise NotDone(_("This link has been used or has expired. Ask for a new one."))
    membership, joined = Membership.objects.get_or_create(
        user=person, team=invitation.team, defaults={"role": invitation.role}
    )
    if not joined:  # by another link, in the same moment
        raise NotDone(_("You are in this team already."))
    User.objects.filter(pk=person.pk).update(team=invitation.team)
    detail = {"role": [None, invitation.role], "invited by": str(invitation.invited_by)}
    if invitation.note:
        detail["for"] = invitation.note
    audit.record(Action.JOIN, person=person, team=invitation.team, target=about(person), detail=detail)
    announce.person(person.pk)
    return membership
