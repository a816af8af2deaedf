"""What makes the desk installable: manifest, service worker and offline page. The same for everybody, without a sign-in."""

import hashlib
import json

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.templatetags.static import static
from django.urls import reverse
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.cache import cache_control
from django.views.decorators.http import require_safe

LANGUAGES = frozenset(code for code, _name in settings.LANGUAGES)
# A new release is seen within this time. Without it the browser would ask for the service worker at each page.
MAX_AGE_SECONDS = 3600
# What the offline page is drawn with.
OFFLINE_FILES = (
    "css/fonts.css",
    "css/variables.css",
    "css/base.css",
    "css/problem.css",
    "fonts/plex-sans-latin.woff2",
    "fonts/plex-sans-vietnamese.woff2",
    "favicon.svg",
    "icons.svg",
    "js/offline.js",
)


@login_not_required
@require_safe
@cache_control(public=True, max_age=MAX_AGE_SECONDS)
def manifest(request: HttpRequest) -> JsonResponse:
    """Describe the desk to a browser that installs it, in the language of `?language=` (Web Application Manifest)."""
    with translation.override(_language(request)):
        body = {
            "id": reverse("desk"),
            "name": "ThueSim Desk",
            "short_name": "ThueSim",
            "description": _("Rent one-time Vietnamese phone numbers and watch their codes arrive."),
            "lang": translation.get_language(),
            "dir": "ltr",
            "start_url": reverse("desk"),
            "scope": reverse("desk"),
            "display": "standalone",
            "background_color": "#f4f6f3",
            "theme_color": "#0a7350",
            "icons": [
                {"src": static("app/icon-192.png"), "sizes": "192x192", "type": "image/png"},
                {"src": static("app/icon-512.png"), "sizes": "512x512", "type": "image/png"},
                {"src": static("app/maskable-512.png"), "sizes": "512x512", "type": "image/png", "purpose": "maskable"},
            ],
            "shortcuts": [{"name": _("History"), "url": reverse("history")}],
        }
    return JsonResponse(body, content_type="application/manifest+json", json_dumps_params={"ensure_ascii": False})


@login_not_required
@require_safe
@cache_control(public=True, max_age=MAX_AGE_SECONDS)
def service_worker(request: HttpRequest) -> HttpResponse:
    """The script that shows the offline page. It differs from one release to the next by the names of the files."""
    language = _language(request)
    assets = [f"{reverse('offline')}?language={language}", *map(static, OFFLINE_FILES)]
    version = hashlib.sha256("\n".join([*assets, _offline_page(language)]).encode()).hexdigest()[:12]
    script = render_to_string("service-worker.js", {"assets": json.dumps(assets), "version": version})
    return HttpResponse(script, content_type="text/javascript")


@login_not_required
@require_safe
def offline(request: HttpRequest) -> HttpResponse:
    """What is seen while the desk cannot be reached. The service worker keeps it, so it says nothing of anybody."""
    return HttpResponse(_offline_page(_language(request)))


def _offline_page(language: str) -> str:
    with translation.override(language):
        return render_to_string("offline.html")


def _language(request: HttpRequest) -> str:
    """The language asked for in the address; the browser keeps what it gets, so a cookie's choice is put there."""
    asked = request.GET.get("language", "")
    return asked if asked in LANGUAGES else settings.LANGUAGE_CODE
