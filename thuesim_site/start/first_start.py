"""The first start: the first team, the people who can sign in to it, and a token to rent on."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.contrib.auth.base_user import BaseUserManager
from django.db import transaction
from django.utils import translation
from django.utils.crypto import salted_hmac

from accounts import audit
from accounts.first_team import first_name
from accounts.models import Membership, Role, Team, User
from lib.encryption import digest
from rentals.models import CallbackAddress, Rental, Token
from rentals.token_adding import free_name
from rentals.upstream.token_check import Level, examine
from thuesim_site.start import variables
from thuesim_site.start.addresses import local_host
from thuesim_site.start.kept_secrets import kept_secret, new_password

FIRST_ADMIN = "admin"
DEMO_OPERATOR = "linh"


@dataclass(frozen=True)
class Person:
    """An account that can sign in. `password` is one that was made by this start, or in demo mode by an earlier one.

    `password_file` names where a made password is kept, as long as it still holds. Both may be empty.
    """

    username: str
    role: str
    password: str = ""
    password_file: str = ""


@dataclass(frozen=True)
class FirstStart:
    """What there is to sign in to: the team, its people, and the address that the sandbox posts results to (or `""`).

    `demo_rentals` is how many rentals of the demo are in the database of the true service; `has_token` is whether there is
    any token to rent on, and `token_refused` says in English why ThueSim does not accept the one that this start added.
    """

    team: str
    people: list[Person]
    callback_url: str
    demo_rentals: int = 0
    has_token: bool = True
    token_refused: str = ""


def first_start(*, demo_token: str = "") -> FirstStart:
    """Make the first team, its admin and its token, unless they are there; what is there already stays as it is.

    The team is named in the language of the settings, and anew in that of the first person who signs in.

    May run at every start. `demo_token` is the token that the sandbox takes.
    """
    with transaction.atomic():
        team = Team.objects.order_by("pk").first() or Team.objects.create(name=first_name())
        people = [_admin(team), *([_operator(team)] if settings.DEMO else [])]
        if not settings.DEMO:
            _end_demo()
        tokens_before = set(Token.objects.values_list("pk", flat=True))
        token = _token(team, demo_token)
        callback_url = _callback_url(token) if token and settings.DEMO else ""
    demo_rentals = 0 if settings.DEMO else Rental.objects.filter(token__value_digest=digest(demo_token)).count()
    is_new = token is not None and token.pk not in tokens_before and not settings.DEMO
    refused = _refusal(token) if token and is_new else ""
    return FirstStart(team.name, people, callback_url, demo_rentals, Token.objects.exists(), refused)


def _password_file(username: str) -> Path:
    return settings.DATA_DIR / f"{username}-password"


def _kept_password(username: str) -> str:
    return kept_secret(_password_file(username), new_password)


def _still_holds(user: User) -> str:
    """Return the password that was generated for `user`; `""` if there is none or they have replaced it.

    That it holds is kept beside it, and believed until either changes: to hash it slows each start by half a second.
    """
    file = _password_file(user.username)
    password = file.read_text().strip() if file.exists() else ""
    if not password:
        return ""
    kept = file.with_name(f"{file.name}-holds")
    proof = salted_hmac("kept password", f"{password} {user.password}", algorithm="sha256").hexdigest()
    if kept.exists() and kept.read_text() == proof:
        return password
    if not user.check_password(password):
        return ""
    with suppress(OSError):  # a full disk
        kept.write_text(proof)
    return password


def _admin(team: Team) -> Person:
    """Return the admin of DJANGO_SUPERUSER_*; without a name, the first admin there is, else a new `admin`."""
    username = variables.SUPERUSER_USERNAME.read()
    user = User.objects.filter(username=username or FIRST_ADMIN).first()
    if user is None and not username:
        user = User.objects.filter(is_superuser=True, is_active=True).order_by("pk").first()
    if user is None:
        username = username or FIRST_ADMIN
        email = BaseUserManager.normalize_email(variables.SUPERUSER_EMAIL.read())
        password = variables.SUPERUSER_PASSWORD.read() or _kept_password(username)
        user = User.objects.create_superuser(username, email, password, team=team)
        Membership.objects.create(user=user, team=team, role=Role.MANAGER)
        return Person(username, "admin", "" if variables.SUPERUSER_PASSWORD.read() else password)
    return _person_there(user, "admin")


def _operator(team: Team) -> Person:
    """Return the second person of the demo, so that two can be tried."""
    user = User.objects.filter(username=DEMO_OPERATOR).first()
    if user is None:
        password = _kept_password(DEMO_OPERATOR)
        user = User.objects.create_user(DEMO_OPERATOR, password=password, team=team)
        Membership.objects.create(user=user, team=team, role=Role.OPERATOR)
        return Person(DEMO_OPERATOR, "operator", password)
    return _person_there(user, "operator")


def _person_there(user: User, role: str) -> Person:
    """Return a person whom an earlier start made. A made password is printed once; the demo's at each start."""
    password = _still_holds(user)
    if settings.DEMO or not password:
        return Person(user.username, role, password)
    return Person(user.username, role, password_file=str(_password_file(user.username)))


def _end_demo() -> None:
    """Deactivate the demo's operator, whose password stood on a terminal, unless a person has made the account theirs."""
    user = User.objects.filter(username=DEMO_OPERATOR, is_active=True).first()
    if user is not None and _still_holds(user):
        User.objects.filter(pk=user.pk).update(is_active=False)
        detail = {"is_active": [True, False], "reason": "end of the demo"}
        audit.record("deactivated", target=audit.about(user), detail=detail)


def _token(team: Team, demo_token: str) -> Token | None:
    """Return the token that the first start gave the team: the sandbox's or THUESIM_TOKEN. Only where it has none."""
    demo = Token.objects.filter(value_digest=digest(demo_token)).first() if demo_token else None
    if demo and not settings.DEMO:
        team.tokens.remove(demo)  # the true upstream does not know it
    value = demo_token if settings.DEMO else variables.THUESIM_TOKEN.read()
    if not value:
        return None
    token = Token.objects.filter(value_digest=digest(value)).first()
    if not team.tokens.exists():
        token = token or Token.objects.create(name=free_name("Demo" if settings.DEMO else "ThueSim"), value=value)
        token.teams.add(team)
    # Of the true service's token an admin makes it, where it is shown: nobody would see the one made here.
    if token and settings.DEMO and not token.callback_addresses.exists():
        CallbackAddress.issue(token)
    return token


def _refusal(token: Token) -> str:
    """Return in one English sentence why ThueSim does not accept `token`, `""` where it does. At most a time-out long."""
    with translation.override("en"):
        check = examine(None, token.value)
        failed = [finding.sentence for finding in check.findings if finding.level == Level.FAIL]
    return "" if check.accepted else failed[0]


def _callback_url(token: Token) -> str:
    """Where the sandbox posts to: this machine, whatever the public address is."""
    address = token.callback_addresses.filter(expires_at=None).first()
    host = local_host(settings.HOST)
    return f"http://{host}:{settings.PORT}/callback/{address.secret.reveal()}/" if address and address.secret else ""
