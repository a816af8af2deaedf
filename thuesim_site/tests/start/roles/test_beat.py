import pytest
from celery.apps.beat import Beat

from thuesim_site.celery import app
from thuesim_site.start.roles import beat


def test_beat_leaves_out_the_checks_of_the_code_which_load_five_megabytes(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[str] = []
    monkeypatch.setenv("CELERY_SKIP_CHECKS", "")
    monkeypatch.setattr(app.loader, "worker_initialized", False)
    monkeypatch.setattr("django.core.checks.run_checks", lambda: begun.append("checks"))
    monkeypatch.setattr(Beat, "start_scheduler", lambda _self: begun.append("scheduler"))
    beat.main("warning")
    assert begun == ["scheduler"]
