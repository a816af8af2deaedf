"""The web process: live stream, held waits, files and health on the event loop, Django's pages on threads beside it."""

from django.conf import settings

from lib import garbage_collection
from lib.web.asgi import Application, Message, Receive, Send
from thuesim_site.serving.asgi_responses import refusal

# Sets Django up: comes before the imports that need its models.
from thuesim_site.wsgi import application as django_pages

from thuesim_site.middleware.static_files import StaticFilesMiddleware  # isort: skip
from thuesim_site.serving.health_responses import Health, Metrics  # isort: skip
from thuesim_site.serving.probe_responses import Probes  # isort: skip
from thuesim_site.serving.proxies import behind_proxies  # isort: skip
from thuesim_site.serving.request_limits import RequestLimit  # isort: skip
from thuesim_site.serving.static_responses import StaticFiles  # isort: skip
from thuesim_site.serving.wsgi_threads import Pages  # isort: skip
from pages.live.downloads import Downloads  # isort: skip
from pages.live.hub import Hub  # isort: skip
from api.holding import Holding  # isort: skip


def web(
    live: Application, pages: Application, static: StaticFiles | None = None, health: Health | None = None
) -> Application:
    """Return the ASGI application: `/live/` goes to the hub, files and health to those given, probes of the public address
    to `Probes`, other paths to Django (`/metrics` while the database answers).

    Health comes before the limits, so that a monitor is never refused.
    """

    probes, metrics = Probes(), Metrics(pages)

    def route(scope: Message) -> Application:
        if scope["path"] == "/live/":
            return live
        if scope["path"] == "/metrics":
            return metrics
        if probes.has(scope):
            return probes
        return static if static is not None and static.has(scope) else pages

    limited = RequestLimit(route)

    async def application(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise NotImplementedError(scope["type"])
        if scope["http_version"] == "1.1" and not any(name == b"host" for name, _ in scope["headers"]):
            await refusal(400)(scope, receive, send)  # RFC 9112, section 3.2
            return
        await (health if health is not None and health.has(scope) else limited)(scope, receive, send)

    return application


def desk() -> Application:
    """The whole desk."""
    pages = Pages(django_pages, folder=settings.DATA_DIR, max_unread_bytes=settings.MAX_UNREAD_BYTES)
    held = Holding(Downloads(pages), settings.REDIS_URL)
    whole = web(Hub(settings.REDIS_URL), held, StaticFiles(StaticFilesMiddleware.found), Health(django_pages))
    return behind_proxies(whole)


application = desk()
garbage_collection.after_loading()
