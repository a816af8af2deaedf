"""What may stand in the setting of the single sign-on providers."""

import pytest

from lib.network import oidc_providers
from lib.network.oidc_providers import is_safe, parse

OFFICE = """
[office]
name = "Our office"
issuer = "https://sso.example.com/realms/office/"
client_id = "desk"
client_secret = "hunter2"
scopes = "openid email groups"
groups_claim = "realm_access.roles"
trust_email = true
two_factor = ["mfa", "urn:example:gold"]
require = { hd = "example.com" }
sign_out = true

[branch]
issuer = "http://127.0.0.1:9480"
client_id = "desk"
client_secret = "hunter3"
"""


def test_two_providers_are_read_with_their_defaults_and_without_a_slash_at_the_end() -> None:
    office, branch = parse(OFFICE).values()
    assert (office.id, office.name, office.issuer) == ("office", "Our office", "https://sso.example.com/realms/office")
    assert (office.scopes, office.two_factor) == (("openid", "email", "groups"), ("mfa", "urn:example:gold"))
    assert (office.require, office.trust_email, office.sign_out) == ({"hd": "example.com"}, True, True)
    assert (branch.name, branch.scopes, branch.groups_claim) == ("branch", ("openid", "profile", "email"), "groups")
    assert (branch.trust_email, branch.sign_out, branch.two_factor) == (False, False, ())


def test_no_secret_is_shown() -> None:
    assert "hunter" not in repr(parse(OFFICE))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("hunter2", "is no TOML"),
        ("a = 1", "as a table"),
        ('A-B = {issuer = "https://a.invalid", client_id = "d", client_secret = "hunter2"}', "small letters"),
        ('a = {issuer = "https://a.invalid", client_id = "d"}', "lacks the client_secret"),
        ('a = {issuer = "https://a.invalid", client_secret = "hunter2"}', "lacks the client_id"),
        ('a = {client_id = "d", client_secret = "hunter2"}', "lacks the issuer"),
        ('a = {issuer = "http://a.invalid", client_id = "d", client_secret = "hunter2"}', "https"),
        ('a = {issuer = "https://u:hunter2@a.invalid", client_id = "d", client_secret = "hunter2"}', "https"),
        ('a = {issuer = "https://a.invalid?x=1", client_id = "d", client_secret = "hunter2"}', "https"),
        ('a = {issuer = "https://a.invalid", client_id = 5, client_secret = "hunter2"}', "a text for client_id"),
        ('a = {issuer = "https://a.invalid", client_id = "d", client_secret = "hunter2", secrte = "x"}', "'secrte'"),
        ('a = {issuer = "https://a.invalid", client_id = "d", client_secret = "hunter2", scopes = 1}', "as a list"),
        (
            'a = {issuer = "https://a.invalid", client_id = "d", client_secret = "hunter2", scopes = ["email"]}',
            "openid",
        ),
        (
            'a = {issuer = "https://a.invalid", client_id = "d", client_secret = "hunter2", sign_out = 1}',
            "true or false",
        ),
        ('a = {issuer = "https://a.invalid", client_id = "d", client_secret = "hunter2", require = ["x"]}', "require"),
        ("\n".join(f"[a{n}]" for n in range(oidc_providers.MAX_PROVIDERS + 1)), "at most"),
    ],
)
def test_what_is_wrong_is_said_without_repeating_a_secret(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=r"\w") as raised:
        parse(text)
    assert said in str(raised.value)
    assert "hunter2" not in str(raised.value)


def test_secrets_leave_this_machine_by_https_alone() -> None:
    assert [address for address in SAFE if not is_safe(address)] == []
    assert [address for address in UNSAFE if is_safe(address)] == []


SAFE = [
    "https://a.invalid",
    "https://a.invalid:8443/x?y=1",
    "http://127.0.0.1:1",
    "http://localhost/",
    "http://[::1]:1/",
]
UNSAFE = [
    "http://a.invalid", "http://127.0.0.1.invalid", "http://10.0.0.1", "https://", "ftp://localhost", "a", "", None, 5,
    "https://a.invalid:port", "http://localhost.invalid", "https://a b.invalid", "http://[::1",
]  # fmt: skip
