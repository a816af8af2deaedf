"""Changing an e-mail address and a password, where allauth's own pages lack a rule; and its pages that are closed."""

from allauth.account import views as allauth_views
from allauth.account.internal.flows.reauthentication import raise_if_reauthentication_required
from allauth.core import ratelimit
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts import mail
from accounts.desk_request import DeskRequest
from accounts.forms import EmailForm
from accounts.memberships import NotDone
from accounts.sign_in import email_change, throttle


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def email(request: DeskRequest) -> HttpResponse:
    """Show a person's e-mail address, and send a link to another one, after the password was asked for again.

    404 where no link can be sent.
    """
    raise_if_reauthentication_required(request, app="allauth.account")
    throttled: HttpResponse | None = ratelimit.consume_or_429(request, action="manage_email", user=request.user)
    if throttled:
        return throttled
    if not mail.sends_links():
        raise Http404
    form = EmailForm(request.POST or None, person=request.user)
    if request.method == "POST" and form.is_valid():
        new = form.cleaned_data["email"]
        email_change.send_link(request, request.user, new)
        messages.success(request, _("A link was sent to %(email)s. Open it to use this address.") % {"email": new})
        return redirect("account_email")
    status = 422 if form.is_bound else 200
    return render(request, "account/email.html", {"form": form}, status=status)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def confirm_email(request: DeskRequest, key: str) -> HttpResponse:
    """Use a new e-mail address, by the link that was sent there. A mail program that opens the link changes nothing."""
    change = email_change.find(key, request.user)
    if change is None:
        if throttle.too_many_wrong_secrets(request):
            return throttle.too_many(request)
        return render(request, "account/email_link_over.html", status=404)
    if request.method != "POST":
        return render(request, "account/email_confirm.html", {"change": change})
    try:
        email_change.confirm(change)
    except NotDone as refused:
        messages.error(request, refused.sentence)
    else:
        messages.success(request, _("Your e-mail address is now %(email)s.") % {"email": change.new})
    return redirect("desk")


def password_set(request: HttpRequest) -> HttpResponse:
    """Set the first password of an account without one, after the passkey or the code was asked for again."""
    if not settings.PASSWORDS:
        raise Http404
    raise_if_reauthentication_required(request, app="allauth.account")
    response: HttpResponse = allauth_views.password_set(request)
    return response


def password_change(request: HttpRequest) -> HttpResponse:
    """Change the password, where there are any."""
    if not settings.PASSWORDS:
        raise Http404
    response: HttpResponse = allauth_views.password_change(request)
    return response


@login_not_required
def closed(request: HttpRequest) -> HttpResponse:
    """Answer 404: a page of allauth that has no use here."""
    raise Http404
