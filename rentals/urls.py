"""The addresses of the desk. They are a contract: bookmarks and other programs rely on them."""

from django.urls import path

from rentals.views import board, callback, desk, health, language, rental, rentals, team_switch

urlpatterns = [
    path("", desk.desk, name="desk"),
    path("board/", board.board, name="board"),
    path("tokens/", board.tokens, name="tokens"),
    path("rent/", desk.rent, name="rent"),
    path("rentals/", rentals.rentals, name="rentals"),
    path("rentals/<int:pk>/", rental.rental, name="rental"),
    path("rentals/<int:pk>/again/", rental.rent_again, name="rent_again"),
    path("rentals/<int:pk>/cancel/", rental.cancel, name="cancel"),
    path("rentals/<int:pk>/check/", rental.check, name="check"),
    path("rentals/<int:pk>/reveal/", rental.reveal, name="reveal"),
    path("rentals/<int:pk>/audio/", rental.audio, name="audio"),
    path("language/", language.language, name="language"),
    path("team/switch/", team_switch.team_switch, name="team_switch"),
    path("callback/<str:secret>/", callback.callback, name="callback"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
]
