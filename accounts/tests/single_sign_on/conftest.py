"""Two providers that the settings name, without a network."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.conf import settings as django_settings
from pytest_django import Settings

from accounts.tests.single_sign_on.fake_provider import FakeProvider, two_providers


@pytest.fixture
def providers() -> Iterator[dict[str, FakeProvider]]:
    with two_providers() as fakes:
        yield fakes


@pytest.fixture
def company(providers: dict[str, FakeProvider]) -> FakeProvider:
    return providers["company"]


@pytest.fixture
def configure(settings: Settings, company: FakeProvider) -> Any:
    """Change entries of the provider in the settings."""

    def change(**entries: Any) -> None:
        company.settings = replace(company.settings, **entries)
        settings.OIDC_PROVIDERS = {**django_settings.OIDC_PROVIDERS, "company": company.settings}

    return change
