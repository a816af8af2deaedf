"""One's own account on one page: name, language, preferences, sign-in, API keys, and what is recorded of the person.

Each part is saved by an address of its own, and the page comes again with a sentence. What allauth asks the password for
(password, e-mail, two-factor authentication) is on pages of its own, to which this one leads.
"""

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib import messages
from django.forms import ModelForm
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import translation
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from django.views.i18n import set_language

from accounts import account as own_account
from accounts import audit
from accounts.account_forms import LanguageForm, NameForm, PreferencesForm
from accounts.desk_request import DeskRequest
from accounts.models import ApiKey, AuditRecord, User
from accounts.single_sign_on import connections
from lib.first_rows import first_rows
from lib.time_zones import reading_in
from lib.web.query_params import whole_number
from pages.presenters import account as presenter
from pages.presenters.audit import details, target

PAGE_SIZE = 50
MAX_SHOWN = 20  # of the browsers and of the API keys


@require_safe
@never_cache
def page(request: DeskRequest) -> HttpResponse:
    """Show the account."""
    return _page(request)


def _page(request: DeskRequest, **forms: ModelForm[User]) -> HttpResponse:
    person, access = request.user, request.access
    methods = list(Authenticator.objects.filter(user=person))
    kinds = [method.type for method in methods]
    sessions, more_sessions = first_rows(own_account.sessions(person), MAX_SHOWN)
    keys, more_keys = first_rows(
        ApiKey.objects.filter(person=person, revoked_at=None).select_related("team"), MAX_SHOWN
    )
    codes = [method.wrap() for method in methods if method.type == Authenticator.Type.RECOVERY_CODES]
    context = {
        "name_form": NameForm(instance=_fresh(person)),
        "language_form": LanguageForm(instance=person),
        "preferences_form": PreferencesForm(instance=person),
        **forms,
        "has_app": Authenticator.Type.TOTP in kinds,
        "passkeys": kinds.count(Authenticator.Type.WEBAUTHN),
        "recovery_codes": sum(len(each.get_unused_codes()) for each in codes),
        "sessions": sessions,
        "more_sessions": more_sessions,
        "keys": keys,
        "more_keys": more_keys,
        "connections": connections.of(person),
        "fresh": request.GET.get("fresh", ""),
        "recorded": presenter.recorded(access),
        "message_days": settings.KEEP_MESSAGES_DAYS,
    }
    return render(request, "pages/account/account.html", context, status=422 if forms else 200)


def _fresh(person: User) -> User:
    """Return the account for a form, which changes it before it is known to be valid."""
    return User.objects.get(pk=person.pk)


@require_POST
@never_cache
def name(request: DeskRequest) -> HttpResponse:
    """Change one's name."""
    form = NameForm(request.POST, instance=_fresh(request.user))
    if not form.is_valid():
        return _page(request, name_form=form)
    own_account.rename(request.user, form.cleaned_data["first_name"])
    shown = User.objects.get(pk=request.user.pk)
    messages.success(request, _("Saved. You are shown as %(name)s.") % {"name": shown})
    return redirect("account_page")


@require_POST
@never_cache
def language(request: DeskRequest) -> HttpResponse:
    """Change the language and the time zone. The browser keeps the language too, for its next sign-in."""
    form = LanguageForm(request.POST, instance=_fresh(request.user))
    if not form.is_valid():
        return _page(request, language_form=form)
    form.save()
    spoken = form.cleaned_data["language"] or translation.get_language_from_request(request)
    with translation.override(spoken), reading_in(form.cleaned_data["time_zone"]):
        messages.success(request, _("Saved. Pages, exports and e-mails to you follow."))
    response: HttpResponse = set_language(request)  # leads to the field `next`
    return response


@require_POST
@never_cache
def preferences(request: DeskRequest) -> HttpResponse:
    """Change what the desk does when a code arrives, and how it is shown."""
    form = PreferencesForm(request.POST, instance=_fresh(request.user))
    if not form.is_valid():
        return _page(request, preferences_form=form)
    form.save()
    messages.success(request, _("Saved. It holds on every browser from the next page on."))
    return redirect("account_page")


@require_POST
@never_cache
def session_end(request: DeskRequest, pk: int) -> HttpResponse:
    """Sign out another browser of one's own. For the present one there is the page that signs out."""
    session = get_object_or_404(UserSession, pk=pk, user=request.user)
    if session.is_current():
        return redirect("account_logout")
    own_account.end_session(session)
    messages.success(request, _("That browser is signed out."))
    return redirect("account_page")


@require_safe
@never_cache
def records(request: DeskRequest) -> HttpResponse:
    """Show what the audit log has of what the person did, newest first: `?of=` chooses a group of actions."""
    found = AuditRecord.objects.filter(request.access.own_records()).select_related("person", "key").order_by("-pk")
    group = request.GET.get("of", "")
    if chosen := presenter.actions_of(group):
        actions, left_out = chosen
        found = found.exclude(action__in=actions) if left_out else found.filter(action__in=actions)
    before = whole_number(request.GET.get("before"))
    if before is not None:
        found = found.filter(pk__lt=before)
    rows = list(found[: PAGE_SIZE + 1])
    context = {
        "records": [(row, audit.label(row.action), target(row), details(row)) for row in rows[:PAGE_SIZE]],
        "next": rows[PAGE_SIZE - 1].pk if len(rows) > PAGE_SIZE else None,
        "query": f"of={group}" if chosen else "",
        "group": group if chosen else "",
        "groups": [
            *((name, word) for name, (_label, word, _actions) in presenter.GROUPS.items()),
            ("others", presenter.OTHERS[1]),
        ],
    }
    return render(request, "pages/account/records.html", context)
