"""What allauth's two-factor pages do not ask: whether the last passkey may go, and whether one signs in by itself."""

from allauth.mfa.adapter import get_adapter
from allauth.mfa.models import Authenticator
from allauth.mfa.webauthn import views as allauth_views
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect

from accounts.desk_request import DeskRequest


@login_not_required
def passkey_login(request: HttpRequest) -> HttpResponse:
    """Sign in with a passkey alone, where the desk lets people in by itself."""
    if not settings.PASSWORDS:
        raise Http404
    response: HttpResponse = allauth_views.login_webauthn(request)
    return response


def passkey_remove(request: DeskRequest, pk: int) -> HttpResponse:
    """Remove a passkey, but never the last two-factor method of a person whose team requires one."""
    passkey = get_object_or_404(Authenticator, pk=pk, user=request.user, type=Authenticator.Type.WEBAUTHN)
    if request.method == "POST" and not get_adapter().can_delete_authenticator(passkey):
        messages.error(request, get_adapter().error_messages["cannot_delete_authenticator"])
        return redirect("mfa_list_webauthn")
    response: HttpResponse = allauth_views.remove_webauthn(request, pk=pk)
    return response
