"""A select that is drawn fast is Django's select."""

import pytest
from django import forms
from django.utils.safestring import mark_safe
from pytest_django.asserts import assertHTMLEqual

from lib.web.long_select import LongSelect

CHOICES = [("", "any"), (1, "Linh <Trần>"), (12, "Anh & Em"), (3, mark_safe("a&nbsp;b"))]


@pytest.mark.parametrize("value", ["", None, 1, "12", "nothing"])
def test_it_is_djangos_select(value: object) -> None:
    attrs = {"id": "id_person", "aria-label": 'a "b"', "required": True}
    fast, django = (widget(choices=CHOICES).render("person", value, attrs) for widget in (LongSelect, forms.Select))
    assertHTMLEqual(fast, django)
