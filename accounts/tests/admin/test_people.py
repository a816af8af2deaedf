"""The Django admin for people and teams."""

from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.socialaccount.models import SocialAccount
from django.contrib.admin import site
from django.contrib.auth.models import Group
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries

from accounts import audit, invitations
from accounts.models import AuditRecord, Membership, Role, Team, User
from rentals.tests.factories import make_service, signed_in

pytestmark = [pytest.mark.django_db, pytest.mark.one_database]

PASSWORD = "a-long-enough-secret"


def make_user(username: str, **over: Any) -> User:
    return User.objects.create_user(username, password=PASSWORD, **over)


@pytest.fixture
def root() -> User:
    return make_user("root", is_staff=True, is_superuser=True)


@pytest.fixture
def admin() -> User:
    return make_user("admin", is_staff=True)


def at(name: str, *args: object) -> str:
    return reverse(f"admin:accounts_{name}", args=args)


def person_form(person: User, **over: Any) -> dict[str, Any]:
    flags = {name: "on" for name in ("is_active", "is_staff", "is_superuser") if getattr(person, name)}
    memberships = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}
    fields = {"username": person.username, "first_name": "", "last_name": "", "email": "", "language": "", "team": ""}
    return {**fields, **flags, **memberships, **over}


def audited(action: str) -> AuditRecord:
    return AuditRecord.objects.get(action=action)


def test_signing_in_goes_through_the_product(client: Client) -> None:
    """Else the admin would be a way round its throttle and its second factor."""
    answer = client.get(reverse("admin:login"))
    assert answer.status_code == 302
    assert answer["Location"].startswith(reverse("account_login"))


def test_no_page_of_the_admin_opens_for_a_stranger_or_a_manager(client: Client) -> None:
    manager = make_user("manager")
    Membership.objects.create(user=manager, team=Team.objects.create(name="Desk"), role=Role.MANAGER)
    for name in ("user_changelist", "team_changelist", "auditrecord_changelist"):
        assert client.get(at(name)).status_code == 302
        assert signed_in(manager).get(at(name), follow=True).status_code == 403


def test_what_second_factors_and_sessions_rest_on_has_no_page() -> None:
    names = {model._meta.label for model in site._registry}
    assert not names & {"mfa.Authenticator", "usersessions.UserSession", "sessions.Session", "account.EmailAddress"}
    assert Group not in site._registry


# People


def test_a_person_is_added_and_audited_without_their_password(admin: User) -> None:
    fields = {"username": "linh", "usable_password": "true", "password1": PASSWORD, "password2": PASSWORD}
    signed_in(admin).post(at("user_add"), fields)
    linh = User.objects.get(username="linh")
    assert linh.check_password(PASSWORD)
    record = audited("user_add")
    assert (record.person, record.target) == (admin, f"linh #{linh.pk}")
    assert PASSWORD not in str(record.detail)


def test_a_change_is_audited_with_before_and_after(admin: User) -> None:
    person = make_user("linh", first_name="Linh")
    signed_in(admin).post(at("user_change", person.pk), person_form(person, first_name="Lan"))
    assert audited("user_change").detail == {"id": person.pk, "first_name": ["Linh", "Lan"]}


def test_a_password_is_set_and_audited_without_it(admin: User) -> None:
    person = make_user("linh")
    fields = {"password1": PASSWORD + "2", "password2": PASSWORD + "2", "usable_password": "true"}
    signed_in(admin).post(reverse("admin:auth_user_password_change", args=[person.pk]), fields)
    person.refresh_from_db()
    assert person.check_password(PASSWORD + "2")
    assert PASSWORD not in str(audited("user_change").detail)


def test_a_person_is_deactivated_not_deleted(admin: User) -> None:
    person = make_user("linh")
    browser = signed_in(admin)
    assert browser.post(at("user_delete", person.pk), {"post": "yes"}).status_code == 403
    browser.post(at("user_changelist"), {"action": "delete_selected", "_selected_action": [person.pk], "post": "yes"})
    fields = person_form(person)
    del fields["is_active"]
    browser.post(at("user_change", person.pk), fields)
    person.refresh_from_db()
    assert not person.is_active


def test_a_deactivated_admin_is_out_at_once(admin: User) -> None:
    browser = signed_in(admin)
    User.objects.filter(pk=admin.pk).update(is_active=False)
    assert browser.get(at("user_changelist")).status_code == 302


def test_nobody_takes_their_own_access_away(root: User) -> None:
    fields = person_form(root)
    for flag in ("is_active", "is_staff", "is_superuser"):
        del fields[flag]
    signed_in(root).post(at("user_change", root.pk), fields)
    root.refresh_from_db()
    assert (root.is_active, root.is_staff, root.is_superuser) == (True, True, True)


@pytest.mark.database
@pytest.mark.parametrize("flag", ["is_staff", "is_superuser"])
def test_only_a_superuser_appoints_admins(admin: User, root: User, flag: str) -> None:
    person = make_user("linh")
    fields = person_form(person, **{flag: "on"})
    signed_in(admin).post(at("user_change", person.pk), fields)
    person.refresh_from_db()
    assert not getattr(person, flag)
    signed_in(root).post(at("user_change", person.pk), fields)
    person.refresh_from_db()
    assert getattr(person, flag)


def test_an_admin_cannot_touch_a_superuser_nor_their_password(admin: User, root: User) -> None:
    browser = signed_in(admin)
    assert browser.get(at("user_change", root.pk)).status_code == 200
    assert browser.post(at("user_change", root.pk), person_form(root, is_active="")).status_code == 403
    password = reverse("admin:auth_user_password_change", args=[root.pk])
    assert browser.post(password, {"password1": PASSWORD, "password2": PASSWORD}).status_code == 403


def test_the_language_is_chosen_from_those_there_are(admin: User) -> None:
    person = make_user("linh")
    browser = signed_in(admin)
    assert (
        "Select a valid choice"
        in browser.post(at("user_change", person.pk), person_form(person, language="xx")).content.decode()
    )
    browser.post(at("user_change", person.pk), person_form(person, language="vi"))
    person.refresh_from_db()
    assert person.language == "vi"


@pytest.mark.database
@pytest.mark.parametrize("field", ["username", "email"])
def test_two_people_never_share_what_they_sign_in_with(admin: User, field: str) -> None:
    make_user("lan", email="lan@example.com")
    person = make_user("linh", email="linh@example.com")
    taken = {"username": "LAN", "email": "Lan@Example.com"}
    signed_in(admin).post(at("user_change", person.pk), person_form(person, **{field: taken[field]}))
    person.refresh_from_db()
    assert (person.username, person.email) == ("linh", "linh@example.com")


@pytest.mark.database
def test_an_old_e_mail_sets_no_passwords_any_more(admin: User) -> None:
    person = make_user("linh", email="old@example.com")
    EmailAddress.objects.create(user=person, email="old@example.com", primary=True, verified=True)
    signed_in(admin).post(at("user_change", person.pk), person_form(person, email="new@example.com"))
    assert not EmailAddress.objects.filter(user=person).exists()


# Teams


@pytest.mark.database
def test_a_team_is_added_changed_and_never_deleted(admin: User) -> None:
    browser = signed_in(admin)
    none = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}
    browser.post(at("team_add"), {"name": "Support", **none})
    team = Team.objects.get()
    browser.post(at("team_change", team.pk), {"name": "Support", "shares_codes": "on", "budget_day": "1.000", **none})
    team.refresh_from_db()
    assert (team.shares_codes, team.budget_day) == (True, 1000)
    record = audited("team_change")
    assert record.team == team
    assert record.detail == {"id": team.pk, "shares_codes": [False, True], "budget_day": [None, 1000]}
    assert browser.post(at("team_delete", team.pk), {"post": "yes"}).status_code == 403
    assert list(AuditRecord.objects.exclude(action="sign_in").order_by("pk").values_list("action", flat=True)) == [
        "team_add",
        "team_change",
    ]


# The audit log


def test_a_person_without_two_factor_cannot_require_it_in_the_admin(admin: User) -> None:
    team = Team.objects.create(name="Support")
    none = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}
    fields = {"name": "Support", "requires_second_step": "on", **none}
    page = signed_in(admin).post(at("team_change", team.pk), fields).content.decode()
    assert "Set up your own two-factor authentication first" in page
    assert not Team.objects.get().requires_second_step


@pytest.mark.database
def test_allowed_services_are_audited_with_before_and_after(admin: User) -> None:
    team, service = Team.objects.create(name="Support"), make_service(name="Zalo")
    none = {"memberships-TOTAL_FORMS": 0, "memberships-INITIAL_FORMS": 0}
    signed_in(admin).post(at("team_change", team.pk), {"name": "Support", "services": [service.pk], **none})
    assert audited("team_change").detail == {"id": team.pk, "services": [[], ["Zalo"]]}


def test_the_audit_record_can_be_read_and_nothing_else(root: User) -> None:
    record = audit.record("reveal", person=root, target="rental #1", detail={"why": "asked"})
    browser = signed_in(root)
    page = browser.get(at("auditrecord_change", record.pk))
    assert page.status_code == 200
    assert b"asked" in page.content
    assert browser.get(at("auditrecord_add")).status_code == 403
    assert browser.post(at("auditrecord_change", record.pk), {"action": "other"}).status_code == 403
    assert browser.post(at("auditrecord_delete", record.pk), {"post": "yes"}).status_code == 403
    chosen = {"action": "delete_selected", "_selected_action": [record.pk], "post": "yes"}
    browser.post(at("auditrecord_changelist"), chosen)
    assert AuditRecord.objects.exclude(action="sign_in").get().action == "reveal"


@pytest.mark.database
@pytest.mark.parametrize(("term", "found"), [("reveal", True), ("rental #1", True), ("admin", True), ("other", False)])
def test_the_audit_record_is_searched_by_action_thing_and_person(admin: User, term: str, found: bool) -> None:
    audit.record("reveal", person=admin, target="rental #1")
    page = signed_in(admin).get(at("auditrecord_changelist"), {"q": term}).content.decode()
    assert ("rental #1" in page.replace(f'value="{term}"', "")) is found


# Fast


@pytest.mark.database
@pytest.mark.parametrize("name", ["user", "team", "invitation", "auditrecord"])
def test_a_list_takes_as_many_queries_for_many_rows_as_for_few(
    admin: User, django_assert_max_num_queries: DjangoAssertNumQueries, name: str
) -> None:
    def fill(start: int, count: int) -> None:
        for n in range(start, start + count):
            person, team = make_user(f"p{n}"), Team.objects.create(name=f"T{n}")
            Membership.objects.create(user=person, team=team)
            invitations.invite(person, team, role=Role.VIEWER)
            audit.record("reveal", person=person, team=team)

    browser = signed_in(admin)
    fill(0, 2)
    with django_assert_max_num_queries(11) as few:
        browser.get(at(f"{name}_changelist"))
    fill(2, 10)
    with django_assert_max_num_queries(len(few.captured_queries)):
        browser.get(at(f"{name}_changelist"))


@pytest.mark.database
def test_a_person_is_disconnected_from_their_provider_and_loses_what_it_gave(root: User, admin: User) -> None:
    person = make_user("linh")
    SocialAccount.objects.create(user=person, provider="company", uid="1")
    Membership.objects.create(user=person, team=Team.objects.create(name="Desk"), role=Role.VIEWER, source="company")
    theirs = Client()
    theirs.post(reverse("account_login"), {"login": "linh", "password": PASSWORD})
    chosen = {"action": "disconnect_selected", "_selected_action": [person.pk, root.pk]}
    SocialAccount.objects.create(user=root, provider="company", uid="2")
    signed_in(admin).post(at("user_changelist"), chosen)
    assert list(SocialAccount.objects.values_list("user", flat=True)) == [root.pk]  # above the admin
    assert not Membership.objects.exists()
    assert theirs.get("/account/").status_code == 302
    record = audited("provider_disconnected")
    assert (record.person, record.target) == (admin, f"linh #{person.pk}")


def test_admin_rights_that_are_set_by_hand_are_no_longer_a_groups(root: User) -> None:
    person = make_user("linh", is_staff=True, admin_source="company")
    signed_in(root).post(at("user_change", person.pk), person_form(person, is_superuser="on"))
    person.refresh_from_db()
    assert (person.is_superuser, person.admin_source) == (True, "")
