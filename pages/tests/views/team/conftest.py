"""The team and its manager of the accounts' tests."""

from accounts.tests.conftest import manager as manager
