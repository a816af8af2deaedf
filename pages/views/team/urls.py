"""The addresses of the team: people, invitations, settings, API keys, audit log, destinations."""

from django.urls import path

from pages.views.team import audit, budgets, destinations, invitations, keys, people, team

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
    path("team/destinations/", destinations.destinations, name="destinations"),
    path("team/destinations/add/", destinations.destination_add, name="destination_add"),
    path("team/destinations/<int:pk>/", destinations.destination, name="destination"),
    path("team/destinations/<int:pk>/change/", destinations.destination_change, name="destination_change"),
    path("team/destinations/<int:pk>/secret/", destinations.destination_secret, name="destination_secret"),
    path("team/destinations/<int:pk>/test/", destinations.destination_test, name="destination_test"),
    path("team/destinations/<int:pk>/switch/", destinations.destination_switch, name="destination_switch"),
    path("team/destinations/<int:pk>/delete/", destinations.destination_delete, name="destination_delete"),
    path("team/destinations/<int:pk>/again/", destinations.destination_again, name="destination_again"),
    path("join/<str:secret>/", invitations.join, name="join"),
]
