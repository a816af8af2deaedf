"""Load, once for all processes of `./run`, the code that they run: what is loaded before a fork is in memory once.

What is missing here is only loaded later, by each process for itself.
"""

import gc
import os
from collections.abc import Callable
from functools import wraps
from importlib import import_module

import django
from django.conf import settings

_MODULES = (
    # the web process
    "uvicorn",
    "uvicorn.lifespan.off",
    "uvicorn.loops.uvloop",
    "api.holding",
    "pages.live.hub",
    "thuesim_site.serving.connections",
    "uvicorn.protocols.http.httptools_impl",
    # all
    "django.db.models.sql.compiler",
    "thuesim_site.sentry",
    # workers and beat
    "billiard.pool",
    "celery.app.control",
    "celery.apps.beat",
    "celery.apps.worker",
    "celery.app.events",
    "celery.app.log",
    "celery.app.amqp",
    "celery.concurrency.thread",
    "celery.events.dispatcher",
    "celery.worker.autoscale",
    "celery.worker.components",
    "celery.worker.consumer.delayed_delivery",
    "celery.worker.strategy",
    "kombu.transport.redis",
    "rentals.jobs.upkeep.machines",
    "rentals.tasks",
    "rentals.ticking",
)


def _for_good(load: Callable[[], None]) -> Callable[[], None]:
    """Keep the garbage collector away from what is loaded, now and later: to scan it takes a fifth of the time of a start.
    A later collection would also write to each object, and so copy each page of memory that the processes share."""

    @wraps(load)
    def for_good() -> None:
        gc.disable()
        try:
            load()
        finally:
            gc.freeze()
            gc.enable()

    return for_good


@_for_good
def load_django() -> None:
    """Load the applications with their models."""
    django.setup()


@_for_good
def load_libraries() -> None:
    """Load what needs neither the database nor the static files."""
    os.environ["CELERY_SKIP_CHECKS"] = "true"  # Celery looks at nothing that Django's checks find
    for module in _MODULES:
        import_module(module)
    if settings.FILES_BUCKET is not None:
        import_module("lib.files.s3_files")
    import_module("django.urls").get_resolver()._populate()
    app = import_module("thuesim_site.celery").app
    app.finalize()
    app.loader.import_default_modules()
    _ = app.amqp, app.log, app.pool, app.connection().transport_cls


@_for_good
def load_site() -> None:
    """Load the rest, once the static files are collected. Nothing may be loaded after it."""
    import_module("thuesim_site.asgi")
