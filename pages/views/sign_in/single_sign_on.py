"""Signing in through a provider: there and back, the provider's own word that a session ended, and the emergency link."""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any, cast

from allauth.account.adapter import get_adapter
from allauth.account.internal.flows import reauthentication
from allauth.account.utils import perform_login
from allauth.account.views import logout as allauth_logout
from allauth.socialaccount.models import SocialAccount
from allauth.socialaccount.providers.oauth2.views import OAuth2CallbackView, OAuth2LoginView
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseRedirectBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.desk_request import DeskRequest
from accounts.memberships import NotDone
from accounts.sign_in import throttle
from accounts.single_sign_on import back_channel, break_glass, connections, provider_sessions
from accounts.single_sign_on.adapter import CONNECT, record_refusal
from accounts.single_sign_on.failures import Failure, Refused
from accounts.single_sign_on.provider import DeskOAuth2Adapter, DeskProvider, named
from lib.network.oidc_documents import ProviderDown, TokenRefused
from lib.network.oidc_providers import Provider

_View = Callable[[HttpRequest, Provider], HttpResponse]

logger = logging.getLogger(__name__)


class _Callback(OAuth2CallbackView):  # type: ignore[misc]  # allauth has no types
    """The provider's answer. The state must be of this browser and this provider, and so must the answer."""

    adapter: DeskOAuth2Adapter

    def _get_state(self, request: HttpRequest, provider: DeskProvider) -> tuple[dict[str, Any], None]:
        try:
            state, _response = super()._get_state(request, provider)
        except Refused:  # allauth's own page would say less
            state = None
        if not state:
            raise Refused(Failure.STATE_LOST, "no such state")
        configuration = self.adapter.openid_config
        issuer = request.GET.get("iss")
        needs_issuer = configuration.get("authorization_response_iss_parameter_supported") is True
        if (issuer is not None or needs_issuer) and issuer != configuration["issuer"]:
            raise Refused(Failure.ANSWER_WRONG, "the answer is of another issuer")  # RFC 9207
        self.adapter.nonce = str(state.get("nonce", ""))
        return state, None


def _at_provider(view: _View) -> Callable[[HttpRequest, str], HttpResponse]:
    """Find the provider, and show why a sign-in through it failed."""

    @wraps(view)
    def wrapped(request: HttpRequest, provider_id: str) -> HttpResponse:
        provider = named(provider_id)
        if provider is None:
            raise Http404
        try:
            return view(request, provider)
        except ProviderDown as down:
            refused = Refused(Failure.PROVIDER_DOWN, str(down))
        except Refused as error:
            refused = error
        record_refusal(request, provider, refused)
        return _failed(request, provider, refused.failure)

    return wrapped


def _failed(request: HttpRequest, provider: Provider, failure: Failure) -> HttpResponse:
    words, names = failure.value, {"provider": provider.name}
    shown = {
        "happened": str(words.happened) % names,
        "remedy": str(words.remedy) % names,
        "failure": failure.name.lower(),
        "is_signed_in": failure == Failure.STATE_LOST and request.user.is_authenticated,
        "provider": provider,
    }
    return render(request, "single_sign_on/failed.html", shown, status=words.status)


def _leave(request: HttpRequest, address: str, provider: Provider | None = None) -> HttpResponse:
    """Send the browser to another site by a page. After a form, the policy of our pages forbids to redirect there."""
    return render(request, "single_sign_on/leaving.html", {"address": address, "provider": provider})


def _ask_again(request: DeskRequest) -> HttpResponse | None:
    """Return the way to a fresh sign-in; None where there was one in the last five minutes.

    allauth asks for the password or a second factor. A person who has neither signs in at their provider once more.
    """
    if connections.is_fresh(request):
        return None
    reauthentication.raise_if_reauthentication_required(request, app="allauth.socialaccount")
    connected = [each for each in connections.of(request.user) if each.account]
    if not connected:
        return None
    messages.info(request, _("This asks for a fresh sign-in: sign in once more, then do it again."))
    return redirect(f"{reverse('account_page')}?fresh={connected[0].provider.id}#providers")


@login_not_required
@never_cache
@require_POST
@_at_provider
def provider_login(request: HttpRequest, provider: Provider) -> HttpResponse:
    """Go to the provider; to connect an account there, the password or a second factor is asked for first."""
    if request.POST.get("process") == CONNECT:
        if not request.user.is_authenticated:
            return redirect("account_login")
        if asked := _ask_again(cast(DeskRequest, request)):
            return asked
    view = OAuth2LoginView.adapter_view(DeskOAuth2Adapter(request, provider.id))
    response: HttpResponse = view(request)
    return _leave(request, response.url, provider) if isinstance(response, HttpResponseRedirectBase) else response


@login_not_required
@never_cache
@require_safe
@_at_provider
def provider_callback(request: HttpRequest, provider: Provider) -> HttpResponse:
    """Take the provider's answer."""
    view = _Callback.adapter_view(DeskOAuth2Adapter(request, provider.id))
    response: HttpResponse = view(request)
    return response


@csrf_exempt
@login_not_required
@never_cache
@require_POST
def provider_logout(request: HttpRequest, provider_id: str) -> HttpResponse:
    """End sessions at the provider's word: 200, or 400 for a token that does not hold."""
    provider = named(provider_id)
    if provider is None:
        raise Http404
    try:
        ended = back_channel.sign_out(provider, request.POST.get("logout_token", ""))
    except ProviderDown as down:
        logger.warning("Sign-out at %s: its keys cannot be read, %s.", provider.id, down)
        return JsonResponse({"error": "temporarily_unavailable"}, status=503)
    except TokenRefused as refused:
        logger.warning("Sign-out at %s: a token was refused, %s.", provider.id, refused)
        if throttle.too_many_wrong_secrets(request):
            return throttle.too_many(request)
        return JsonResponse({"error": "invalid_request", "error_description": str(refused)}, status=400)
    logger.info("Sign-out at %s: %s sessions ended.", provider.id, ended)
    return HttpResponse(status=200)


@login_not_required
@never_cache
def logout(request: HttpRequest) -> HttpResponse:
    """Sign out, at the provider as well where the setting asks for it."""
    address = provider_sessions.sign_out_address(request) if request.method == "POST" else ""
    response: HttpResponse = allauth_logout(request)
    return _leave(request, address) if address else response


@require_POST
@never_cache
def provider_disconnect(request: DeskRequest, pk: int) -> HttpResponse:
    """End the connection with an account at a provider, after a fresh sign-in."""
    account = get_object_or_404(SocialAccount, pk=pk, user=request.user)
    if asked := _ask_again(request):
        return asked
    try:
        connections.disconnect(request.user, account)
    except NotDone as refused:
        messages.error(request, refused.sentence)
    else:
        messages.success(request, _("Disconnected. What the groups there gave you on this desk has ended."))
    return redirect(f"{reverse('account_page')}#providers")


@login_not_required
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def break_glass_sign_in(request: HttpRequest, secret: str) -> HttpResponse:
    """Sign an admin in by the link of `manage.py break_glass`. Opening it does nothing yet."""
    person = break_glass.find(secret)
    if person is None or (request.method == "POST" and not break_glass.use(person)):
        if throttle.too_many_wrong_secrets(request):
            return throttle.too_many(request)
        return render(request, "single_sign_on/break_glass.html", {"person": None}, status=404)
    if request.method != "POST":
        return render(request, "single_sign_on/break_glass.html", {"person": person})
    if request.user.is_authenticated:
        get_adapter(request).logout(request)
    response: HttpResponse = perform_login(request, person, redirect_url=reverse("desk"))
    return response
