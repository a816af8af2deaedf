"""The addresses of signing in that have a view of ours. Most are allauth's, so this stands before allauth's own list."""

from django.urls import path, re_path

from pages.views.sign_in import email_and_password, password_reset, single_sign_on, two_factor

urlpatterns = [
    path("accounts/password/reset/", password_reset.password_reset, name="account_reset_password"),
    path("accounts/password/reset/done/", password_reset.password_reset_done, name="account_reset_password_done"),
    re_path(
        r"^accounts/password/reset/key/(?P<uidb36>[0-9A-Za-z]+)-(?P<key>.+)/$",
        password_reset.password_reset_from_key,
        name="account_reset_password_from_key",
    ),
    path("accounts/logout/", single_sign_on.logout, name="account_logout"),
    path("accounts/oidc/<slug:provider_id>/login/", single_sign_on.provider_login, name="openid_connect_login"),
    path(
        "accounts/oidc/<slug:provider_id>/login/callback/",
        single_sign_on.provider_callback,
        name="openid_connect_callback",
    ),
    path("accounts/oidc/<slug:provider_id>/logout/", single_sign_on.provider_logout, name="openid_connect_logout"),
    path("accounts/break-glass/<str:secret>/", single_sign_on.break_glass_sign_in, name="break_glass"),
    path("account/providers/<int:pk>/disconnect/", single_sign_on.provider_disconnect, name="account_disconnect"),
    path("accounts/email/", email_and_password.email, name="account_email"),
    path("accounts/confirm-email/<str:key>/", email_and_password.confirm_email, name="account_confirm_email"),
    path("accounts/password/change/", email_and_password.password_change, name="account_change_password"),
    path("accounts/password/set/", email_and_password.password_set, name="account_set_password"),
    path("accounts/signup/", email_and_password.closed, name="account_signup"),
    path("accounts/confirm-email/", email_and_password.closed, name="account_email_verification_sent"),
    path("accounts/login/code/confirm/", email_and_password.closed, name="account_confirm_login_code"),
    path("accounts/2fa/webauthn/login/", two_factor.passkey_login, name="mfa_login_webauthn"),
    path("accounts/2fa/webauthn/keys/<int:pk>/remove/", two_factor.passkey_remove, name="mfa_remove_webauthn"),
]
