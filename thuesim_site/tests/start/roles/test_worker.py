import socket
import threading
import time
from types import SimpleNamespace

from kombu import Connection
from kombu.asynchronous.hub import Hub
from kombu.asynchronous.timer import Timer

from thuesim_site.start.roles.worker import _hang_up, _sleep_longer


def test_a_worker_that_stops_while_redis_is_away_has_nothing_to_hang_up() -> None:
    _hang_up(SimpleNamespace(connection=None))


def test_a_worker_whose_loop_sleeps_is_woken_to_stop() -> None:
    hub = Hub(timer=Timer(max_interval=60))
    hub.timer.call_after(60, lambda: None)
    asked, answers = socket.socketpair()
    with asked, answers:
        hub.add_reader(asked, lambda: None)
        begun = threading.Event()
        hub.call_soon(begun.set)
        sleeping = threading.Thread(target=next, args=(hub.create_loop(),), daemon=True)
        sleeping.start()
        assert begun.wait(20)
        assert sleeping.is_alive()
        _hang_up(SimpleNamespace(connection=SimpleNamespace(transport=None), hub=hub))
        sleeping.join(20)
        assert not sleeping.is_alive()
        hub.close()


def test_a_worker_does_not_wake_each_second_for_queues_that_expire() -> None:
    hub, transport = Hub(timer=Timer(max_interval=60)), Connection("redis://").transport
    transport.register_with_event_loop(transport, hub)
    _sleep_longer(SimpleNamespace(transport=transport))
    waits = [planned.eta for planned in hub.timer.queue if not planned.entry.canceled]
    assert min(waits) - time.monotonic() > 5
