"""The Django admin's page of a token. Its value goes in and never comes out; each action is a button."""

from collections.abc import Callable
from functools import partial, wraps
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.decorators import method_decorator
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

import thuesim
from accounts.admin import StaffAdmin
from accounts.audit import Action
from lib.encryption import Secret
from lib.formats import dong
from lib.web.urls import absolute_reverse
from rentals import enqueue
from rentals.admin.token_panels import panels
from rentals.jobs import balances
from rentals.models import Token
from rentals.token_adding import ValueField, owner_of
from rentals.upstream import breaker, callback_addresses
from rentals.upstream.token_check import Finding, Level, check_token
from rentals.upstream.token_replacement import replace_value

_View = Callable[["TokenAdmin", HttpRequest, Token], HttpResponse]


class TokenForm(forms.ModelForm[Token]):
    """The form of a token: with its value when it is added, without when it is changed."""

    new_value = ValueField(
        label=gettext_lazy("Value"),
        help_text=gettext_lazy("As ThueSim shows it. It is encrypted, and is never shown here again."),
    )

    class Meta:
        model = Token
        fields = ("name", "teams", "waiting_limit")
        widgets = {"teams": forms.CheckboxSelectMultiple}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            del self.fields["new_value"]

    def clean_new_value(self) -> str:
        value: str = self.cleaned_data["new_value"]
        if other := owner_of(value):
            raise ValidationError(
                _("This token is here already, as “%(name)s”. Give that token to the team.") % {"name": other.name}
            )
        return value


class ReplaceForm(forms.Form):
    """The form for a value that replaces the old one."""

    new_value = ValueField(
        label=gettext_lazy("New value"),
        help_text=gettext_lazy(
            "The desk first asks ThueSim about it, and replaces the old value only if the new one works."
        ),
    )
    surely_ours = forms.BooleanField(
        label=gettext_lazy("This is the same ThueSim account, even though its history has none of our numbers"),
        required=False,
    )

    def __init__(self, *args: Any, token: Token, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.token = token

    def clean_new_value(self) -> str:
        value: str = self.cleaned_data["new_value"]
        other = owner_of(value)
        if other == self.token:
            raise ValidationError(_("The token has this value already."))
        if other is not None:
            raise ValidationError(_("This value is here already, as “%(name)s”.") % {"name": other.name})
        return value


def _button(view: _View) -> Callable[..., HttpResponse]:
    """Make a view of a button on the token's page: POST only, for those who may change the token."""

    @wraps(view)
    def checked(self: "TokenAdmin", request: HttpRequest, pk: int) -> HttpResponse:
        token = get_object_or_404(Token, pk=pk)
        if not self.has_change_permission(request, token):
            raise PermissionDenied
        return view(self, request, token)

    return method_decorator([require_POST, never_cache])(checked)


@admin.register(Token)
class TokenAdmin(StaffAdmin):
    """Tokens: added, given to teams, checked, paused. None is deleted: the ledger refers to it."""

    form = TokenForm
    audit_hidden = ("new_value",)
    change_form_template = "admin/rentals/token/change_form.html"
    list_display = ("name", "status", "amount", "balance_at", "team_names", "masked", "waiting_limit")
    list_filter = ("paused", "teams")
    search_fields = ("name",)
    empty_sentence = gettext_lazy(
        "No token yet, so nothing can be rented. Add the one that ThueSim shows in your account there."
    )
    actions = ("pause_selected", "resume_selected")

    @admin.display(description=gettext_lazy("value"))
    def masked(self, token: Token) -> str:
        return str(token.value)

    @admin.display(description=gettext_lazy("teams"))
    def team_names(self, token: Token) -> str:
        return ", ".join(team.name for team in token.teams.all())

    @admin.display(description=gettext_lazy("status"))
    def status(self, token: Token) -> str:
        return str(breaker.hold_of(token).label)

    @admin.display(description=gettext_lazy("balance"), ordering="balance")
    def amount(self, token: Token) -> str:
        return dong(token.balance)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Token]:
        tokens: QuerySet[Token] = super().get_queryset(request)
        return tokens.prefetch_related("teams")

    def get_fieldsets(self, request: HttpRequest, obj: Token | None = None) -> Any:
        names = ("name",) if obj else ("name", "new_value")
        return (
            (None, {"fields": names}),
            (_("Who rents with it"), {"fields": ("teams",)}),
            (_("Limits"), {"fields": ("waiting_limit",)}),
        )

    @method_decorator(sensitive_post_parameters("new_value"))
    def changeform_view(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Any:
        return super().changeform_view(request, *args, **kwargs)

    def save_model(self, request: HttpRequest, obj: Token, form: TokenForm, change: bool) -> None:
        """Write only the fields that the form changed: workers write the turn, the balance and the hold meanwhile."""
        if not change:
            obj.value = Secret(form.cleaned_data["new_value"])
            obj.save()
            enqueue.sync(obj.pk)
        elif fields := [name for name in form.changed_data if name in {"name", "waiting_limit"}]:
            obj.save(update_fields=fields)
        enqueue.place(obj.pk)  # a limit that was raised, or a team that got the token

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: bool) -> None:
        super().save_related(request, form, formsets, change)
        form.instance.announce()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> Any:
        token = self.get_object(request, object_id)
        extra = panels(token) if isinstance(token, Token) else {}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **extra})

    def get_urls(self) -> list[URLPattern]:
        views = {
            "check": self.check_now,
            "balance": self.refresh_balance,
            "pause": self.pause,
            "resume": self.resume,
            "callback": self.replace_callback,
            "callback_end": self.end_replaced_callbacks,
            "replace": self.enter_new_value,
        }
        return [
            path(f"<int:pk>/{name}/", self.admin_site.admin_view(view), name=f"rentals_token_{name}")
            for name, view in views.items()
        ] + super().get_urls()

    @_button
    def check_now(self, request: HttpRequest, token: Token) -> HttpResponse:
        """Ask the upstream about the token and show the findings. Takes as long as the upstream does."""
        findings = check_token(token)
        worst = next((level for level in (Level.FAIL, Level.WARN) if any(f.level == level for f in findings)), Level.OK)
        self.record(request, Action.TOKEN_CHECK, token, {"result": worst.value})
        return self._page(
            request, token, "check", {"title": _("Check of %(name)s"), "findings": findings, "worst": worst}
        )

    @method_decorator([sensitive_post_parameters("new_value"), never_cache, require_http_methods(["GET", "POST"])])
    def enter_new_value(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Take a new value, and replace the old one by it once ThueSim has accepted it."""
        token = get_object_or_404(Token, pk=pk)
        if not self.has_change_permission(request, token):
            raise PermissionDenied
        form = ReplaceForm(request.POST or None, token=token)
        findings: tuple[Finding, ...] = ()
        if form.is_valid():
            value, surely_ours = Secret(form.cleaned_data["new_value"]), form.cleaned_data["surely_ours"]
            record = partial(self.record, request, Action.TOKEN_ROTATE, token)
            replacement = replace_value(token, value, record=record, surely_ours=surely_ours)
            if replacement.done:
                success = _("The new value is in use, and the old one is deleted. The queue goes on.")
                self.message_user(request, success, messages.SUCCESS)
                return redirect("admin:rentals_token_change", token.pk)
            self.record(request, Action.TOKEN_ROTATE_REFUSED, token, {"why": replacement.why})
            form.add_error(None, str(replacement.sentence))
            findings = replacement.findings
        context = {"title": _("New value of %(name)s"), "form": form, "findings": findings}
        return self._page(request, token, "replace", context, status=422 if form.is_bound else 200)

    @_button
    def refresh_balance(self, request: HttpRequest, token: Token) -> HttpResponse:
        try:
            reading = balances.read_balance(token)
        except thuesim.ThueSimError as error:
            self.message_user(
                request,
                _("The balance could not be read (%(error)s). “Check this token” tells more.")
                % {"error": error.message or type(error).__name__},
                messages.ERROR,
            )
        else:
            self.message_user(request, _("Balance: %(amount)s.") % {"amount": dong(reading.balance)}, messages.SUCCESS)
        return redirect("admin:rentals_token_change", token.pk)

    @_button
    def pause(self, request: HttpRequest, token: Token) -> HttpResponse:
        self._set_paused(request, token, True)
        self.message_user(request, _("%(name)s is paused: it takes no order.") % {"name": token}, messages.SUCCESS)
        return redirect("admin:rentals_token_change", token.pk)

    @_button
    def resume(self, request: HttpRequest, token: Token) -> HttpResponse:
        self._set_paused(request, token, False)
        self.message_user(request, _("%(name)s takes orders again.") % {"name": token}, messages.SUCCESS)
        return redirect("admin:rentals_token_change", token.pk)

    @_button
    def replace_callback(self, request: HttpRequest, token: Token) -> HttpResponse:
        """Make a new callback address and show it once."""
        overlap = callback_addresses.valid_addresses(token).exists()
        with transaction.atomic():
            made = callback_addresses.replace(token)
            self.record(request, Action.CALLBACK_REPLACE, token)
        address = absolute_reverse("callback", args=[made.secret.reveal()], request=request)
        return self._page(
            request,
            token,
            "callback_address",
            {"title": _("Callback address of %(name)s"), "address": address, "overlap": overlap},
        )

    @_button
    def end_replaced_callbacks(self, request: HttpRequest, token: Token) -> HttpResponse:
        """End the overlap early, as when an old address has leaked."""
        with transaction.atomic():
            if ended := callback_addresses.end_replaced(token):
                self.record(request, Action.CALLBACK_END, token, {"addresses": ended})
        self.message_user(request, _("Only the newest address works now."), messages.SUCCESS)
        return redirect("admin:rentals_token_change", token.pk)

    @admin.action(description=gettext_lazy("Pause the selected tokens"), permissions=["change"])
    def pause_selected(self, request: HttpRequest, tokens: QuerySet[Token]) -> None:
        changed = sum(self._set_paused(request, token, True) for token in tokens)
        self.message_user(request, ngettext("%d token paused.", "%d tokens paused.", changed) % changed)

    @admin.action(description=gettext_lazy("Resume the selected tokens"), permissions=["change"])
    def resume_selected(self, request: HttpRequest, tokens: QuerySet[Token]) -> None:
        changed = sum(self._set_paused(request, token, False) for token in tokens)
        self.message_user(request, ngettext("%d token resumed.", "%d tokens resumed.", changed) % changed)

    @transaction.atomic
    def _set_paused(self, request: HttpRequest, token: Token, paused: bool) -> bool:
        """Pause or resume a token. Returns False if it was paused, or not, already."""
        if not Token.objects.filter(pk=token.pk, paused=not paused).update(paused=paused):
            return False
        self.record(
            request, Action.TOKEN_PAUSE if paused else Action.TOKEN_RESUME, token, {"paused": [not paused, paused]}
        )
        token.announce()
        enqueue.place(token.pk)  # the queue moves to the team's other tokens, or goes on here
        return True

    def _page(
        self, request: HttpRequest, token: Token, name: str, context: dict[str, Any], status: int = 200
    ) -> HttpResponse:
        page = {**self.admin_site.each_context(request), "opts": self.opts, "token": token, **context}
        page["title"] = context["title"] % {"name": token}
        return TemplateResponse(request, f"admin/rentals/token/{name}.html", page, status=status)
