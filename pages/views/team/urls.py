"""The addresses of the team: people, invitations, settings, audit log; and allauth's addresses with views of ours."""

from django.urls import path, re_path

from pages.views.team import account, audit, budgets, invitations, keys, password_reset, people, team, two_factor

urlpatterns = [
    path("team/", team.team, name="team"),
    path("team/settings/", team.team_settings, name="team_settings"),
    path("team/services/", team.team_services, name="team_services"),
    path("team/left/", budgets.budgets, name="budgets"),
    path("team/people/<int:pk>/", people.person, name="person"),
    path("team/people/<int:pk>/role/", people.person_role, name="person_role"),
    path("team/people/<int:pk>/limits/", people.person_budgets, name="person_budgets"),
    path("team/people/<int:pk>/remove/", people.person_remove, name="person_remove"),
    path("team/people/<int:pk>/deactivate/", people.person_deactivate, name="person_deactivate"),
    path("team/people/<int:pk>/activate/", people.person_activate, name="person_activate"),
    path("team/people/<int:pk>/sign-out/", people.person_sign_out, name="person_sign_out"),
    path("team/people/<int:pk>/second-step/", people.person_two_factor, name="person_two_factor"),
    path("team/people/<int:pk>/password/", people.person_password, name="person_password"),
    path("team/invite/", invitations.invite, name="invite"),
    path("team/invite/<int:pk>/withdraw/", invitations.invite_revoke, name="invite_revoke"),
    path("team/keys/", keys.team_keys, name="team_keys"),
    path("team/keys/make/", keys.key_make, name="key_make"),
    path("team/keys/<int:pk>/revoke/", keys.key_revoke, name="key_revoke"),
    path("team/audit/", audit.team_audit, name="team_audit"),
    path("team/audit/export.csv", audit.team_audit_export, name="team_audit_export"),
    path("join/<str:secret>/", invitations.join, name="join"),
    path("accounts/password/reset/", password_reset.password_reset, name="account_reset_password"),
    path("accounts/password/reset/done/", password_reset.password_reset_done, name="account_reset_password_done"),
    re_path(
        r"^accounts/password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        password_reset.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path("accounts/email/", account.email, name="account_email"),
    path("accounts/confirm-email/<str:key>/", account.confirm_email, name="account_confirm_email"),
    path("accounts/password/set/", account.password_set, name="account_set_password"),
    path("accounts/signup/", account.closed, name="account_signup"),
    path("accounts/confirm-email/", account.closed, name="account_email_verification_sent"),
    path("accounts/login/code/confirm/", account.closed, name="account_confirm_login_code"),
    path("accounts/2fa/webauthn/keys/<int:pk>/remove/", two_factor.passkey_remove, name="mfa_remove_webauthn"),
]
