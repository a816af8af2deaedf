"""The widgets that Jinja2 draws are the ones that Django's templates draw."""

from datetime import date
from typing import Any

import pytest
from django import forms
from django.contrib.admin.widgets import AdminDateWidget
from django.forms.renderers import DjangoTemplates, get_default_renderer
from django.test.html import parse_html

from lib.web.form_renderer import FormRenderer

NAMES = [("a", "Ánh & Co"), ("group", [("b", '<b>"'), (3, "ba")])]
WIDGETS: list[tuple[forms.Widget, Any]] = [
    (forms.TextInput({"class": "wide", "required": True, "placeholder": False}), '"Ánh" <&>'),
    (forms.NumberInput({"min": 1000}), 12_345),
    (forms.DateInput(), date(2026, 3, 9)),
    (forms.PasswordInput(), "secret"),
    (forms.Textarea(), "two\nlines & <more>"),
    (forms.CheckboxInput(), True),
    (forms.Select(choices=NAMES), 3),
    (forms.SelectMultiple(choices=NAMES), ["a", "b"]),
    (forms.RadioSelect(choices=NAMES), "b"),
    (forms.CheckboxSelectMultiple(choices=NAMES), ["a"]),
    (forms.ClearableFileInput(), None),
    (forms.HiddenInput(), 5),
]


@pytest.mark.parametrize(("widget", "value"), WIDGETS, ids=[type(widget).__name__ for widget, _ in WIDGETS])
def test_a_widget_is_drawn_as_django_draws_it(widget: forms.Widget, value: Any) -> None:
    drawn, expected = (
        widget.render("field", value, attrs={"id": "field", "aria-invalid": "true"}, renderer=renderer)
        for renderer in (FormRenderer(), DjangoTemplates())
    )

    assert parse_html(drawn) == parse_html(expected)
    assert "&amp;" in drawn or "&" not in str(value)


def test_it_is_the_one_of_the_settings_and_draws_the_admin_s_widgets_as_well() -> None:
    renderer = get_default_renderer()

    assert isinstance(renderer, FormRenderer)
    assert "vDateField" in AdminDateWidget().render("day", None, renderer=renderer)
