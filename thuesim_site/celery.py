"""The Celery application. Its settings are those of Django that begin with CELERY_."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "thuesim_site.settings")

app = Celery("thuesim_site")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


def _every(seconds: float, task: str, queue: str = "slow") -> dict[str, object]:
    # A run that could not start before the next one is due is dropped: the next one does its work.
    return {"task": task, "schedule": seconds, "options": {"queue": queue, "expires": max(1.0, seconds * 0.9)}}


app.conf.beat_schedule = {
    "tick": _every(1.0, "rentals.tick", "ticks"),
    "balances": _every(15.0, "rentals.read_balances"),
    "catalogue": _every(15.0, "rentals.sync_catalogs"),
    "history": _every(15.0, "rentals.import_histories"),
}
