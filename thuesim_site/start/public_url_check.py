"""What `./run --check` finds at the public address. The desk need not run: what answers its probes does so meanwhile."""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Iterator

from lib.web.asgi import Message, Receive, Send
from thuesim_site.start import loading
from thuesim_site.start.checks import Setup

START_SECONDS = 30


def findings(setup: Setup, *, answers_here: bool) -> list[tuple[str, bool]]:
    """Return in English what is wrong with the way through the public address, and of each whether it is only a warning.
    With `answers_here`, probes are answered on the desk's port by this process."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "thuesim_site.settings")
    loading.load_django()  # the texts want its applications
    from django.utils import translation

    from lib.network.public_url import examine

    with _answering(setup) if answers_here else contextlib.nullcontext(), translation.override("en"):
        return [(finding.sentence, finding.is_warning) for finding in examine(setup.public_url)]


@contextlib.contextmanager
def _answering(setup: Setup) -> Iterator[None]:
    import uvicorn

    from lib.network.probes import PATH
    from thuesim_site.serving.asgi_responses import refusal
    from thuesim_site.serving.probe_responses import Probes
    from thuesim_site.serving.proxies import behind_proxies
    from thuesim_site.start.roles.listener import listening

    probes, away, not_found = Probes(), refusal(503), refusal(404)

    async def probes_alone(scope: Message, receive: Receive, send: Send) -> None:
        # A probe below another path: as the desk answers it, so that the proxy's path is blamed.
        elsewhere = not_found if PATH in str(scope["path"]) else away
        await (probes if probes.has(scope) else elsewhere)(scope, receive, send)

    config = uvicorn.Config(
        behind_proxies(probes_alone),
        http="thuesim_site.serving.connections:Connection",
        ws="none",
        lifespan="off",
        proxy_headers=False,
        log_config=None,
        log_level="critical",
        timeout_graceful_shutdown=1,
    )
    server = uvicorn.Server(config)
    sockets = [listening(setup.host, setup.port)]
    thread = threading.Thread(target=lambda: asyncio.run(server.serve(sockets=sockets)), daemon=True)
    thread.start()
    end = time.monotonic() + START_SECONDS
    while not server.started and time.monotonic() < end:
        time.sleep(0.02)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(START_SECONDS)
