"""A request is read as UTF-8 whatever charset it claims."""

import pytest
from django.test import RequestFactory

from thuesim_site.wsgi import Utf8Request


@pytest.mark.parametrize("charset", ["hex", "rot13", "undefined", "idna", "utf-16", "\0", "none", "é"])
def test_a_claimed_charset_is_no_error_and_changes_no_text(charset: str) -> None:
    form = "application/x-www-form-urlencoded"
    posted = RequestFactory().generic("POST", "/?q=s%E1%BB%91", "name=s%E1%BB%91", content_type=form)
    request = Utf8Request({**posted.environ, "CONTENT_TYPE": f"{form}; charset={charset}"})
    assert request.content_type == form
    assert (request.GET["q"], request.POST["name"]) == ("số", "số")
