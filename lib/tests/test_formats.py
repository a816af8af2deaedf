from datetime import timedelta

import pytest
from django.utils import translation

from lib.formats import dong, grouped, span


@pytest.mark.parametrize(
    ("amount", "written"), [(None, ""), (0, "0 ₫"), (1450, "1.450 ₫"), (-1_234_567, "−1.234.567 ₫")]
)
@pytest.mark.parametrize("language", ["en", "vi"])
def test_an_amount_is_written_as_in_vietnam_in_every_language(language: str, amount: int | None, written: str) -> None:
    with translation.override(language):
        assert dong(amount) == written


@pytest.mark.parametrize("language", ["en", "vi"])
def test_a_number_is_grouped_as_an_amount_is(language: str) -> None:
    with translation.override(language):
        assert grouped(1_234_567) == "1.234.567"
        assert grouped(999) == "999"


@pytest.mark.parametrize(
    ("duration", "words"),
    [
        (None, ""),
        (1, "1 second"),
        (59, "59 seconds"),
        (60, "1 minute"),
        (timedelta(minutes=119), "119 minutes"),
        (timedelta(hours=2), "2 hours"),
    ],
)
def test_a_duration_is_said_in_its_largest_unit(duration: timedelta | int | None, words: str) -> None:
    with translation.override("en"):
        assert span(duration) == words
