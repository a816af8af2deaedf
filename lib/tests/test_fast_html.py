from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext_lazy

from lib.fast_html import draw

HOSTILE = "<script>'\"&"


def test_texts_are_escaped_as_format_html_does() -> None:
    for markup, text in (("<p>{}</p>", HOSTILE), ("<p>{}</p>", 5), ("<p>{}</p>", gettext_lazy("Service"))):
        assert draw(markup, text) == format_html(markup, text)
    assert draw("<p>{text}</p>", text=HOSTILE) == format_html("<p>{text}</p>", text=HOSTILE)


def test_markup_in_markup_is_not_escaped_again() -> None:
    assert draw("<p>{}</p>", mark_safe("<b>1</b>")) == "<p><b>1</b></p>"
    assert draw("<p>{}</p>", draw("<b>{}</b>", "<")) == "<p><b>&lt;</b></p>"


def test_what_is_drawn_is_safe_for_a_template() -> None:
    assert isinstance(draw("<p>{}</p>", HOSTILE), SafeString)
