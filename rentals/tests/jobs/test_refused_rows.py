"""A row that the database itself refuses stops no other row of the history, and an admin finds it."""

import logging

import pytest
from django.db import connection
from django.test import Client

from rentals.jobs import reconciling
from rentals.models import ContractDrift, Rental
from rentals.tests.fixtures import House
from rentals.upstream import drift
from rentals.upstream.client import client_for

pytestmark = pytest.mark.django_db(transaction=True)
SQLITE = """CREATE TRIGGER refuse_one BEFORE INSERT ON rentals_rental WHEN NEW.upstream_key = '{key}'
BEGIN SELECT RAISE(ABORT, 'refused'); END"""
POSTGRESQL = """
CREATE FUNCTION refuse_one() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION 'refused' USING ERRCODE = 'check_violation'; END $$;
CREATE TRIGGER refuse_one BEFORE INSERT ON rentals_rental FOR EACH ROW WHEN (NEW.upstream_key = '{key}')
EXECUTE FUNCTION refuse_one()"""


def test_the_others_are_imported_and_the_refusal_is_listed_for_an_admin(
    house: House, as_admin: Client, caplog: pytest.LogCaptureFixture
) -> None:
    drift.forget()
    keys = [client_for(house.token).rent("02.97").id.partition(".")[0] for _ in range(7)]  # elsewhere
    on_postgresql = connection.vendor == "postgresql"
    with connection.cursor() as cursor:
        cursor.execute((POSTGRESQL if on_postgresql else SQLITE).format(key=keys[3]))
    try:
        with caplog.at_level(logging.WARNING):
            reconciling.reconcile(house.token.pk)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP FUNCTION refuse_one CASCADE" if on_postgresql else "DROP TRIGGER refuse_one")
    assert sorted(Rental.objects.values_list("upstream_key", flat=True)) == sorted({*keys} - {keys[3]})
    assert keys[3] in caplog.text
    form = "a row that the database refused: IntegrityError"
    assert ContractDrift.objects.get(form=form).endpoint == "history"
    assert form in as_admin.get("/admin/rentals/contractdrift/").content.decode()
