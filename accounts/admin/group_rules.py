"""Group rules in the Django admin: what groups at a single sign-on provider give. One is switched off, not deleted."""

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.admin.base import StaffAdmin, may_appoint
from accounts.models import GroupRule, Right

_ADMINS = (Right.ADMIN, Right.SUPERUSER)


class GroupRuleForm(forms.ModelForm[GroupRule]):
    """A rule: of a provider that the settings name, and with a team exactly where it gives a role."""

    class Meta:
        model = GroupRule
        fields = ("provider", "group", "right", "team", "is_on")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "provider" in self.fields:
            named = {each.id: each.name for each in settings.OIDC_PROVIDERS.values()}
            if self.instance.pk:  # one that the settings no longer name
                named.setdefault(self.instance.provider, self.instance.provider)
            self.fields["provider"] = forms.ChoiceField(
                label=self.fields["provider"].label,
                choices=[(pk, name if name == pk else f"{name} ({pk})") for pk, name in named.items()],
                help_text=""
                if named
                else _("No provider is set up yet. DESK_OIDC_FILE names them: see “Single sign-on” in the docs."),
            )

    def clean(self) -> dict[str, Any] | None:
        cleaned = super().clean()
        right, team = self.cleaned_data.get("right"), self.cleaned_data.get("team")
        if right in _ADMINS and team is not None:
            self.add_error("team", _("An admin acts in every team: leave it empty."))
        if right and right not in _ADMINS and team is None:
            self.add_error("team", _("Choose the team in which this role is given."))
        return cleaned


@admin.register(GroupRule)
class GroupRuleAdmin(StaffAdmin):
    form = GroupRuleForm
    list_display = ("group", "provider", "right", "team", "is_on")
    list_filter = ("is_on", "right", "team")
    list_select_related = ("team",)
    search_fields = ("group", "provider")
    autocomplete_fields = ("team",)
    empty_sentence = gettext_lazy("No rule yet, so groups at a sign-in provider give nobody a team.")

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """Only superusers appoint admins, by a rule as well."""
        appoints = isinstance(obj, GroupRule) and obj.right in _ADMINS
        return super().has_change_permission(request, obj) and (not appoints or may_appoint(request))

    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "right" and not may_appoint(request):
            kwargs["choices"] = [choice for choice in Right.choices if choice[0] not in _ADMINS]
        return super().formfield_for_choice_field(db_field, request, **kwargs)
