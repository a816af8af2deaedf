"""allauth's forms for passkeys, which take whatever a stranger sends for the answer of a passkey.

allauth and fido2 leave what is no such answer to a `KeyError` or a `RecursionError`: an error page for anybody who asks.
"""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn import forms as allauth_forms
from django import forms


@contextmanager
def _refusing_odd_ones() -> Iterator[None]:
    """Turn what the parsers raise into a `ValidationError`."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError, IndexError, RecursionError, struct.error):
        raise get_adapter().validation_error("incorrect_code") from None


class CredentialField(forms.JSONField):
    """A JSON object. One that is refused is not shown again."""

    widget = forms.HiddenInput

    def to_python(self, value: Any) -> Any:
        with _refusing_odd_ones():
            document = super().to_python(value)
            if document is not None and not isinstance(document, dict):
                raise TypeError
            return document

    def bound_data(self, data: Any, initial: Any) -> Any:
        return initial


class AddPasskeyForm(allauth_forms.AddWebAuthnForm):
    credential = CredentialField()

    def clean(self) -> Any:
        with _refusing_odd_ones():
            return super().clean()


class AuthenticatePasskeyForm(allauth_forms.AuthenticateWebAuthnForm):
    credential = CredentialField()

    def clean_credential(self) -> Authenticator:
        with _refusing_odd_ones():
            return super().clean_credential()


class ReauthenticatePasskeyForm(AuthenticatePasskeyForm, allauth_forms.ReauthenticateWebAuthnForm):
    pass


class LoginPasskeyForm(AuthenticatePasskeyForm, allauth_forms.LoginWebAuthnForm):
    pass
