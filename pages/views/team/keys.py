"""The team's API keys: listed, made and shown once, revoked. Operators see their own, managers all of the team."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from accounts import api_keys, one_time_keys
from accounts.desk_request import DeskRequest
from accounts.forms import KeyForm
from accounts.memberships import NotDone
from accounts.models import ApiKey, Scope
from lib.first_rows import first_rows
from lib.web.query_params import text
from lib.web.urls import root_url

# That the page shows, of those in use and of those that were revoked; a search finds the others.
MAX_KEYS, MAX_REVOKED = 50, 20


@require_safe
@never_cache
def team_keys(request: DeskRequest) -> HttpResponse:
    """Show the keys that the person may see, and the form for a new one."""
    return _page(request, KeyForm())


def _page(request: DeskRequest, form: KeyForm, status: int = 200) -> HttpResponse:
    _require_rights(request)
    keys = ApiKey.objects.filter(request.access.keys()).select_related("person")
    q = text(request.GET, "q")
    used = keys.filter(Q(name__icontains=q) | Q(start__startswith=q), revoked_at=None)
    shown_keys, more = first_rows(used, MAX_KEYS)
    labels = dict(Scope.choices)

    def shown(key: ApiKey) -> tuple[ApiKey, list[tuple[str, str]]]:
        return key, [(scope, str(labels.get(scope, scope))) for scope in key.scopes]

    context = {
        "form": form,
        "q": q,
        "keys": [shown(key) for key in shown_keys],
        "more": more,
        "revoked": keys.exclude(revoked_at=None).order_by("-revoked_at")[:MAX_REVOKED],
    }
    return render(request, "pages/team/keys.html", context, status=status)


@require_POST
@never_cache
def key_make(request: DeskRequest) -> HttpResponse:
    """Make a key and show it, this once."""
    _require_rights(request)
    form = KeyForm(request.POST)
    if not form.is_valid():
        return _page(request, form, status=422)
    chosen = form.cleaned_data
    try:
        key, secret = api_keys.make(
            request.user,
            request.access,
            name=chosen["name"],
            scopes=chosen["scopes"],
            addresses=chosen["addresses"],
            bounds=form.bounds,
            form_key=one_time_keys.key_of(request),
        )
    except NotDone as refused:
        messages.error(request, refused.sentence)
        return redirect("team_keys")
    address = root_url(request)
    variables = f"export THUESIM_DESK_URL={address}\nexport THUESIM_DESK_KEY={secret}"
    curl = f'curl -H "Authorization: Bearer {secret}" {address}/api/v1/me'
    context = {"key": key, "secret": secret, "snippets": [(_("For a shell or CI"), variables), ("curl", curl)]}
    return render(request, "pages/team/key_made.html", context)


@require_POST
def key_revoke(request: DeskRequest, pk: int) -> HttpResponse:
    """Revoke a key."""
    _require_rights(request)
    key = get_object_or_404(ApiKey.objects.filter(request.access.keys()), pk=pk)
    if api_keys.revoke(request.user, request.access, key):
        messages.success(request, _("The key is revoked; what uses it is refused from now on."))
    return redirect("team_keys")


def _require_rights(request: DeskRequest) -> None:
    if not request.access.may_hold_keys:
        raise PermissionDenied(_("Only operators and managers may make API keys."))
