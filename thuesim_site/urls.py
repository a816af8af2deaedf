"""All addresses. Everything asks for a sign-in except what says otherwise."""

from django.contrib import admin
from django.urls import include, path

handler429 = "accounts.sign_in.throttle.too_many"  # allauth's name for it; Django has none
handler500 = "thuesim_site.middleware.database_outage.server_error"

urlpatterns = [
    path("", include("api.urls")),
    path("", include("pages.urls")),
    path("", include("pages.views.team.urls")),
    path("", include("pages.views.sign_in.urls")),
    path("accounts/", include("allauth.account.urls")),
    path("accounts/2fa/", include("allauth.mfa.urls")),
    path("accounts/sessions/", include("allauth.usersessions.urls")),
    path("admin/", admin.site.urls),
]
