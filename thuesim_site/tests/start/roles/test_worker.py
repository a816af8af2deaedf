from types import SimpleNamespace

from thuesim_site.start.roles.worker import _hang_up


def test_a_worker_that_stops_while_redis_is_away_has_nothing_to_hang_up() -> None:
    _hang_up(SimpleNamespace(connection=None))
