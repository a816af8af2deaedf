"""The addresses of the desk. They are a contract: bookmarks and other programs rely on them."""

from django.urls import path

from rentals.views import (
    board,
    callback,
    desk,
    exports,
    health,
    language,
    metrics,
    rental,
    rentals,
    services,
    spend,
    system,
    team_switch,
)

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
    path("rentals/export.csv", exports.export, {"kind": "csv"}, name="export_csv"),
    path("rentals/export.xlsx", exports.export, {"kind": "xlsx"}, name="export_xlsx"),
    path("background/", exports.background_jobs, name="background_jobs"),
    path("background/<int:pk>/file/", exports.background_file, name="background_file"),
    path("services/", services.services, name="services"),
    path("services/<int:pk>/", services.service, name="service"),
    path("services/<int:pk>/star/", services.service_star, name="service_star"),
    path("spend/", spend.spend, name="spend"),
    path("system/", system.system, name="system"),
    path("system/tokens/<int:pk>/import/", system.import_history, name="import_history"),
    path("language/", language.language, name="language"),
    path("team/switch/", team_switch.team_switch, name="team_switch"),
    path("callback/<str:secret>/", callback.callback, name="callback"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics.metrics, name="metrics"),
]
