"""The addresses of the API. They never change."""

from django.urls import include, path

from api import docs
from api.desk_api import patterns

urlpatterns = [
    path(
        "api/v1/",
        include(
            (
                [
                    path("openapi.json", docs.openapi_json, name="openapi"),
                    path("docs", docs.docs, name="docs"),
                    path("docs/events", docs.docs_events, name="docs_events"),
                    *patterns(),
                ],
                "api",
            )
        ),
    ),
]
