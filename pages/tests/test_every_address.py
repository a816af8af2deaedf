"""Every address × every role × own and other team × GET and POST, against one table.

The addresses come from the URL configuration: one that the table does not name fails. Each request runs in a
transaction of its own that is rolled back. Each answer is asked as well whether a GET wrote something, whether a browser
would keep what somebody signed in was shown, whether its scripts carry the nonce, whether its cookies are for this host
alone, and whether a browser that opens a part of a page is led to the page.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fnmatch import filter as filter_names
from fnmatch import fnmatchcase
from functools import cache
from itertools import product
from typing import Any

import pytest
from django.db import connection, transaction

from pages.tests.cookies import wrong_cookies
from pages.tests.test_parts_of_pages import BROWSER
from pages.tests.world import ROLES, FormClient, World, address_of, addresses
from pages.tests.world import shared_world as shared_world
from pages.tests.writes import Writes
from rentals.models import Rental, Status

WHOSE = ("own", "other")
METHODS = ("GET", "POST")

# The policy, read by address. One line: the method, the addresses, then what happens to a visitor (signed out), viewer,
# operator, manager and admin with what is their own team's, and what happens with another team's.
#   ok    answered, or done and sent on        in    sent to the sign-in       403   not allowed
#   404   not there, as far as they can tell   405   not with this method      422   what was sent is wrong
#   401   a key is asked for: a session is none (api/tests/test_policy.py walks the API with keys)
#   409   a rule of the product says no (see the page it leads to)
POLICY = """
GET  desk board tokens offers history team budgets                  in   ok   ok   ok   ok  | in   ok   ok   ok   ok
GET  options                                                        in   404  404  404  404 | in   404  404  404  404
GET  rental number_memory                                           in   ok   ok   ok   ok  | in   404  404  404  404
GET  recording                                                      in   404  ok   ok   ok  | in   404  404  404  404
POST desk board tokens history team budgets rental number_memory    in   405  405  405  405 | in   405  405  405  405
POST offers options                                                 in   405  405  405  405 | in   405  405  405  405
GET  rent rent_again order_like cancel check reveal copied          in   405  405  405  405 | in   405  405  405  405
POST rent                                                           in   403  ok   ok   ok  | in   403  422  422  422
POST recording                                                      in   405  405  405  405 | in   405  405  405  405
GET  hand_over                                                      in   403  ok   ok   ok  | in   404  404  404  404
POST hand_over                                                      in   403  ok   ok   ok  | in   404  404  404  404
POST rent_again order_like cancel check reveal copied               in   403  ok   ok   ok  | in   404  404  404  404
GET  preferences                                                    in   405  405  405  405 | in   405  405  405  405
POST preferences                                                    in   ok   ok   ok   ok  | in   ok   ok   ok   ok
GET  team_switch                                                    in   ok   ok   ok   ok  | in   ok   ok   ok   ok
POST team_switch                                                    in   ok   ok   ok   ok  | in   404  404  404  ok

GET  export_csv export_xlsx spend_export                            in   405  405  405  405 | in   405  405  405  405
POST export_csv export_xlsx spend_export                            in   403  403  ok   ok  | in   403  403  ok   ok
POST background services spend system                               in   405  405  405  405 | in   405  405  405  405
GET  spend                                                          in   403  403  ok   ok  | in   403  403  404  404
GET  spend_answer spend_enter spend_take_back                       in   405  405  405  405 | in   405  405  405  405
POST spend_answer spend_take_back                                   in   403  403  ok   ok  | in   403  403  404  404
POST spend_enter                                                    in   403  403  422  422 | in   403  403  422  422
GET  background services service system                             in   ok   ok   ok   ok  | in   ok   ok   ok   ok
GET  background_file                                                in   404  404  404  404 | in   404  404  404  404
POST background_file service                                        in   405  405  405  405 | in   405  405  405  405
GET  service_star import_history check_public_url                   in   405  405  405  405 | in   405  405  405  405
POST check_public_url                                               in   403  403  403  ok  | in   403  403  403  ok
POST service_star                                                   in   403  ok   ok   ok  | in   403  ok   ok   ok
POST import_history                                                 in   403  403  ok   ok  | in   404  404  404  404
GET  setup setup_token setup_callback setup_people setup_number     in   403  403  403  ok  | in   403  403  403  ok
POST setup setup_number                                             in   405  405  405  405 | in   405  405  405  405
POST setup_token setup_people                                       in   403  403  403  422 | in   403  403  403  422
POST setup_callback                                                 in   403  403  403  ok  | in   403  403  403  ok
GET  metrics                                                        ok   ok   ok   ok   ok  | ok   ok   ok   ok   ok
POST metrics                                                        405  405  405  405  405 | 405  405  405  405  405

GET  team_audit                                                     in   403  403  ok   ok  | in   403  403  ok   ok
POST team_audit                                                     in   405  405  405  405 | in   405  405  405  405
GET  team_audit_export team_settings team_services invite           in   405  405  405  405 | in   405  405  405  405
POST team_audit_export team_settings team_services invite           in   403  403  ok   ok  | in   403  403  ok   ok
GET  invite_revoke                                                  in   405  405  405  405 | in   405  405  405  405
POST invite_revoke                                                  in   403  403  ok   ok  | in   403  403  404  404
GET  team_keys                                                      in   403  ok   ok   ok  | in   403  ok   ok   ok
POST team_keys                                                      in   405  405  405  405 | in   405  405  405  405
GET  key_make key_revoke                                            in   405  405  405  405 | in   405  405  405  405
POST key_make                                                       in   403  ok   ok   ok  | in   403  ok   ok   ok
POST key_revoke                                                     in   403  404  ok   ok  | in   403  404  404  404
GET  person                                                         in   403  403  ok   ok  | in   403  403  404  404
POST person                                                         in   405  405  405  405 | in   405  405  405  405
GET  person_*                                                       in   405  405  405  405 | in   405  405  405  405
POST person_*                                                       in   403  403  ok   ok  | in   403  403  404  404
GET  destinations                                                   in   403  403  ok   ok  | in   403  403  ok   ok
POST destinations                                                   in   405  405  405  405 | in   405  405  405  405
GET  destination                                                    in   403  403  ok   ok  | in   403  403  404  404
POST destination                                                    in   405  405  405  405 | in   405  405  405  405
GET  destination_*                                                  in   405  405  405  405 | in   405  405  405  405
POST destination_add                                                in   403  403  422  422 | in   403  403  422  422
POST destination_change                                             in   403  403  422  422 | in   403  403  404  404
POST destination_*                                                  in   403  403  ok   ok  | in   403  403  404  404
GET  join                                                           ok   ok   ok   ok   ok  | 404  404  404  404  404
POST join                                                           422  ok   ok   ok   ok  | 404  404  404  404  404

GET  help help_guide                                                ok   ok   ok   ok   ok  | ok   ok   ok   ok   ok
POST help help_guide                                                405  405  405  405  405 | 405  405  405  405  405
GET  healthz readyz readyz_web manifest service_worker offline      ok   ok   ok   ok   ok  | ok   ok   ok   ok   ok
POST healthz readyz readyz_web manifest service_worker offline      405  405  405  405  405 | 405  405  405  405  405
GET  callback language                                              405  405  405  405  405 | 405  405  405  405  405
POST callback                                                       400  400  400  400  400 | 404  404  404  404  404
POST language                                                       ok   ok   ok   ok   ok  | ok   ok   ok   ok   ok

GET  api:docs api:docs_events                                       in   ok   ok   ok   ok  | in   ok   ok   ok   ok
GET  api:openapi                                                    401  ok   ok   ok   ok  | 401  ok   ok   ok   ok
GET  api:rental_again api:rental_cancel api:rental_check            405  405  405  405  405 | 405  405  405  405  405
POST api:rentals api:rental_again api:rental_cancel api:rental_check 401 401  401  401  401 | 401  401  401  401  401
GET  api:*                                                          401  401  401  401  401 | 401  401  401  401  401
POST api:*                                                          405  405  405  405  405 | 405  405  405  405  405

GET  account_login account_logout account_inactive                  ok   ok   ok   ok   ok  | ok   ok   ok   ok   ok
POST account_login account_logout                                   ok   ok   ok   ok   ok  | ok   ok   ok   ok   ok
GET  account_reset_password*                                        ok   ok   ok   ok   ok  | ok   ok   ok   ok   ok
POST account_*_done account_inactive                                405  405  405  405  405 | 405  405  405  405  405
POST account_reset_password account_reset_password_from_key         ok   ok   ok   ok   ok  | ok   ok   ok   ok   ok
GET  openid_connect_login openid_connect_logout                      405  405  405  405  405 | 405  405  405  405  405
POST openid_connect_login openid_connect_logout                      404  404  404  404  404 | 404  404  404  404  404
GET  openid_connect_callback break_glass                            404  404  404  404  404 | 404  404  404  404  404
POST openid_connect_callback                                        405  405  405  405  405 | 405  405  405  405  405
POST break_glass                                                    404  404  404  404  404 | 404  404  404  404  404
GET  account_disconnect                                             in   405  405  405  405 | in   405  405  405  405
POST account_disconnect                                             in   404  404  404  404 | in   404  404  404  404
GET  account_signup account_*_sent account_confirm_login_code       404  404  404  404  404 | 404  404  404  404  404
POST account_signup account_*_sent account_confirm_login_code       404  404  404  404  404 | 404  404  404  404  404
GET  tour                                                           in   405  405  405  405 | in   405  405  405  405
POST tour                                                           in   ok   ok   ok   ok  | in   ok   ok   ok   ok
GET  account_page account_records                                   in   ok   ok   ok   ok  | in   ok   ok   ok   ok
POST account_page account_records                                   in   405  405  405  405 | in   405  405  405  405
GET  account_name account_language account_preferences              in   405  405  405  405 | in   405  405  405  405
POST account_name account_language                                  in   ok   ok   ok   ok  | in   ok   ok   ok   ok
POST account_preferences                                            in   422  422  422  422 | in   422  422  422  422
GET  account_session_end                                            in   405  405  405  405 | in   405  405  405  405
POST account_session_end                                            in   404  404  404  404 | in   404  404  404  404
GET  account_change_password account_set_password account_email     in   ok   ok   ok   ok  | in   ok   ok   ok   ok
POST account_change_password account_set_password account_email     in   ok   ok   ok   ok  | in   ok   ok   ok   ok
GET  account_confirm_email                                          in   404  404  404  404 | in   404  404  404  404
POST account_confirm_email                                          in   404  404  404  404 | in   404  404  404  404
GET  account_reauthenticate                                         in   ok   ok   ok   ok  | in   ok   ok   ok   ok
POST account_reauthenticate                                         in   ok   ok   ok   ok  | in   ok   ok   ok   ok
GET  mfa_deactivate_totp mfa_download_* mfa_view_recovery_codes     in   404  404  404  404 | in   404  404  404  404
POST mfa_deactivate_totp mfa_download_*                             in   404  404  404  404 | in   404  404  404  404
GET  mfa_remove_webauthn                                            in   404  404  404  404 | in   404  404  404  404
POST mfa_remove_webauthn                                            in   404  404  404  404 | in   404  404  404  404
POST mfa_index mfa_list_webauthn mfa_view_recovery_codes            in   405  405  405  405 | in   405  405  405  405
GET  mfa_* usersessions_list                                        in   ok   ok   ok   ok  | in   ok   ok   ok   ok
POST mfa_* usersessions_list                                        in   ok   ok   ok   ok  | in   ok   ok   ok   ok

GET  admin:login                                                    in   403  403  403  ok  | in   403  403  403  ok
POST admin:login                                                    in   403  403  403  ok  | in   403  403  403  ok
GET  admin:logout                                                   in   ok   ok   ok   405 | in   ok   ok   ok   405
POST admin:logout                                                   in   ok   ok   ok   ok  | in   ok   ok   ok   ok
GET  admin:*_changelist admin:*_history admin:*_change admin:*_old  in   in   in   in   ok  | in   in   in   in   ok
POST admin:*_changelist admin:*_history admin:*_old                 in   in   in   in   ok  | in   in   in   in   ok
GET  admin:*_user_add admin:*_team_add admin:*_token_add            in   in   in   in   ok  | in   in   in   in   ok
POST admin:*_user_add admin:*_team_add admin:*_token_add            in   in   in   in   ok  | in   in   in   in   ok
GET  admin:*_grouprule_add                                          in   in   in   in   ok  | in   in   in   in   ok
POST admin:*_grouprule_add                                          in   in   in   in   ok  | in   in   in   in   ok
POST admin:*_user_change admin:*_team_change admin:*_token_change   in   in   in   in   ok  | in   in   in   in   ok
POST admin:*_network_change admin:*_grouprule_change                in   in   in   in   ok  | in   in   in   in   ok
POST admin:index admin:app_list admin:*password_change              in   in   in   in   ok  | in   in   in   in   ok
POST admin:*_change                                                 in   in   in   in   403 | in   in   in   in   403
GET  admin:*_add admin:*_delete admin:autocomplete                  in   in   in   in   403 | in   in   in   in   403
POST admin:*_add admin:*_delete                                     in   in   in   in   403 | in   in   in   in   403
POST admin:autocomplete admin:jsi18n admin:password_change_done     in   in   in   in   405 | in   in   in   in   405
GET  admin:index admin:app_list admin:jsi18n admin:*password_change in   in   in   in   ok  | in   in   in   in   ok
GET  admin:password_change_done                                     in   in   in   in   ok  | in   in   in   in   ok
GET  admin:rentals_token_replace                                    in   in   in   in   ok  | in   in   in   in   ok
POST admin:rentals_token_replace                                    in   in   in   in   422 | in   in   in   in   422
GET  admin:rentals_token_*                                          in   in   in   in   405 | in   in   in   in   405
POST admin:rentals_token_*                                          in   in   in   in   ok  | in   in   in   in   ok
GET  admin:view_on_site admin:nowhere                               in   in   in   in   404 | in   in   in   in   404
POST admin:view_on_site admin:nowhere                               in   in   in   in   404 | in   in   in   in   404
"""


def _outcome(
    client: FormClient, world: World, name: str, pattern: str, role: str, whose: str, method: str
) -> tuple[str, str, list[str]]:
    """Make one request and take back what it did. Returns the table's word, what was answered, and what is wrong with it."""
    things = dict(world.things[whose])
    writes = Writes()
    with transaction.atomic(), ExitStack() as noted:
        if whose == "other" and name in {"join", "callback"}:
            things["secret"] = things["callback"] = "wrong"
        world.sign_in(client, role)
        address = address_of(pattern, name, things, things["rental"])
        form = world.forms[whose]
        if method == "GET":
            noted.enter_context(connection.execute_wrapper(writes))
        response = client.get(f"{address}?{form}") if method == "GET" else client.post(address, form)
        body = b"".join(response) if response.streaming else response.content
        text = body.decode(errors="replace")
        parts = _part_of_a_page(client, address, response, text) if method == "GET" else ()
        faults = [*wrong_cookies(response.cookies), *parts]
        written = writes.beside_the_session()
        transaction.set_rollback(True)
    faults += [f"GET writes {table}" for table in sorted(written)]
    if method == "GET" and role != "visitor":
        faults += _kept(name, response)
    faults += _without_nonce(name, response, text)
    return _word(response, name), text + str(response.headers), faults


def _part_of_a_page(client: FormClient, address: str, response: Any, text: str) -> Iterator[str]:
    """An answer without a frame that a browser is shown as well: it opens a page where htmx asks for a part."""
    if response.status_code == 200 and _is_html(response) and "<html" not in text:
        opened = client.get(address, headers=BROWSER)
        if opened.status_code == 200 and "<html" not in opened.content.decode():
            yield "a part of a page"


def _is_html(response: Any) -> bool:
    return "html" in response.headers.get("Content-Type", "")


@contextmanager
def _rental_of(world: World, name: str, role: str, whose: str) -> Iterator[None]:
    """Inside the block, the rental is the person's own where it is their team's, and stands as the address needs it."""
    owner = {"person": world.people[role]} if role != "visitor" and whose == "own" else {}
    status = Status.QUEUED if name == "cancel" else Status.RECEIVED
    with transaction.atomic():
        Rental.objects.filter(pk=world.things[whose]["rental"].pk).update(status=status, **owner)
        yield
        transaction.set_rollback(True)


def _kept(name: str, response: Any) -> Iterator[str]:
    """What a browser or a proxy would keep of an answer to somebody who is signed in."""
    # The same for every person: words of the admin's scripts, and what test_installable.py compares.
    of_nobody = name in {"admin:jsi18n", "manifest", "service_worker"}
    if "no-store" not in response.headers["Cache-Control"] and not of_nobody:
        yield f"kept: {response.headers['Cache-Control']}"


def _without_nonce(name: str, response: Any, text: str) -> Iterator[str]:
    """Scripts of ours that the Content-Security-Policy would not run."""
    # The admin's and one page of allauth's bring scripts of their own, which are from this host all the same, as is the
    # script of the page that browsers keep.
    of_others = name.startswith("admin:") or name in {"account_email", "offline"}
    if of_others or not _is_html(response):
        return
    for tag in re.findall(r"<script[^>]*>", text):
        if "application/json" not in tag and not re.search(r'nonce="[^"]+"', tag):
            yield tag


def _word(response: Any, name: str) -> str:
    status = response.status_code
    if status in {301, 302, 303}:
        to_sign_in = re.match(r"/(accounts|admin)/login/", response["Location"])
        return "in" if to_sign_in and name != "account_logout" else "ok"
    return "ok" if status < 300 else str(status)


Cells = dict[tuple[str, str], str]


@cache
def policy() -> list[tuple[str, str, Cells]]:
    """The table's lines, one per pattern of names: method, pattern, and the word by role and whose."""
    lines = []
    for line in filter(None, POLICY.strip().splitlines()):
        words = line.replace("|", " ").split()
        where = [(role, whose) for whose in WHOSE for role in ROLES]
        cells = dict(zip(where, words[-10:], strict=True))
        lines += [(words[0], pattern, cells) for pattern in words[1:-10]]
    return lines


def _expected(name: str, method: str) -> Cells | None:
    """What the table says: the first line that fits."""
    fitting = (cells for said, pattern, cells in policy() if said == method and fnmatchcase(name, pattern))
    return next(fitting, None)


def test_the_table_names_every_address_and_no_other() -> None:
    unnamed = [(name, method) for name in addresses() for method in METHODS if _expected(name, method) is None]
    assert unnamed == [], "POLICY lacks a line; the test of the address prints it"
    assert [pattern for _method, pattern, _cells in policy() if not filter_names(addresses(), pattern)] == []


@pytest.mark.walk
@pytest.mark.django_db
@pytest.mark.parametrize("name", sorted(addresses()))
def test_an_address_keeps_to_the_policy(world: World, name: str) -> None:
    client = FormClient(raise_request_exception=False)
    for pattern in addresses()[name]:
        words: dict[str, Cells] = {method: {} for method in METHODS}
        leaks, faults = [], {}
        for whose, role in product(WHOSE, ROLES):
            with _rental_of(world, name, role, whose):
                for method in METHODS:
                    word, answer, wrong = _outcome(client, world, name, pattern, role, whose, method)
                    words[method][role, whose] = word
                    if any(mark in answer for mark in _unseen(name, role)):
                        leaks.append((role, whose, method))
                    if wrong:
                        faults[role, whose, method] = wrong
        lines = [_line(name, method, words[method]) for method in METHODS if words[method] != _expected(name, method)]
        assert lines == [], "\n".join(["POLICY says otherwise. Where this is right, write there:", *lines])
        assert leaks == []
        assert faults == {}


def _unseen(name: str, role: str) -> tuple[str, ...]:
    """What of the other team's may stand in no answer.

    An admin sees the names of all teams in the switch, every token on the system page and in the set-up, and everything in
    the Django admin; the figures for monitoring name all tokens, and are for this machine alone.
    """
    if name == "metrics" or (role == "admin" and name.startswith(("system", "setup", "admin:"))):
        return ()
    return ("other-",) if role == "admin" else ("other-", "Theirs")


def _line(name: str, method: str, cells: Cells) -> str:
    own, other = (" ".join(f"{cells[role, whose]:4}" for role in ROLES) for whose in WHOSE)
    return f"{method:4} {name:60} {own}| {other}".rstrip()


def test_the_number_of_combinations_is_known(record_property: Any) -> None:
    patterns = sum(len(patterns) for patterns in addresses().values())
    combinations = patterns * len(METHODS) * len(ROLES) * len(WHOSE)
    record_property("combinations", combinations)
    print(f"{patterns} addresses, {combinations} combinations")
    assert combinations >= 3000
