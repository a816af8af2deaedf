"""Django's pages as a WSGI application."""

import os
from typing import Any

from django.core.handlers.wsgi import WSGIRequest
from django.core.wsgi import get_wsgi_application
from django.utils.http import parse_header_parameters

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "thuesim_site.settings")


class Utf8Request(WSGIRequest):
    """A request whose address and form are UTF-8. Django decodes them by the charset that the sender claims, and has no
    answer to `hex` or `idna`."""

    def _set_content_type_params(self, meta: dict[str, Any]) -> None:
        self.content_type, self.content_params = parse_header_parameters(meta.get("CONTENT_TYPE", ""))


application = get_wsgi_application()
application.request_class = Utf8Request
