"""What goes wrong, one thing at a time: each function does it, and returns when it is over."""

import time
from collections.abc import Callable

from bench.machines.site import Site

CUT_SECONDS = 20.0
OFF_SECONDS = 25.0  # of a killed machine, until it boots again
LOST_SECONDS = 60.0
OPERATOR_SECONDS = 3.0  # from the death of a primary until its standby is promoted
SKEW_SECONDS = 30
DELAY_SECONDS, LOSS = 0.2, 0.02

Fault = Callable[[Site], None]


def nothing(site: Site) -> None:
    """For comparison."""
    time.sleep(CUT_SECONDS)


def _link(one: str, two: str) -> Fault:
    def cut(site: Site) -> None:
        with site.network.cut_link(site.machine(one), site.machine(two)):
            time.sleep(CUT_SECONDS)

    return cut


def cut_web2(site: Site) -> None:
    """Pull its cable, and plug it in again."""
    site.machine("web2").cut()
    time.sleep(CUT_SECONDS)
    site.machine("web2").join()


def cut_database(site: Site) -> None:
    """Cut one web machine from the database that is the primary now."""
    with site.network.cut_link(site.machine("web1"), site.postgres.primary):
        time.sleep(CUT_SECONDS)


def cut_redis(site: Site) -> None:
    """Cut one worker machine from the Redis that is the master now."""
    master = site.redis.master()
    assert master is not None
    with site.network.cut_link(site.machine("worker1"), master):
        time.sleep(CUT_SECONDS)


def _power(name: str) -> Fault:
    def fail(site: Site) -> None:
        site.machine(name).kill()
        time.sleep(OFF_SECONDS)
        site.machine(name).reboot()
        site.desks[name].begin()
        site.desks[name].wait()

    return fail


def database_dies(site: Site) -> None:
    """The primary's machine dies; its standby is promoted. Later the dead one comes back as the new standby."""
    dead = site.postgres.primary
    dead.kill()
    time.sleep(OPERATOR_SECONDS)
    site.postgres.promote()
    time.sleep(OFF_SECONDS)
    dead.reboot()
    site.postgres.add_standby()


def redis_lost(site: Site) -> None:
    """Both machines of Redis die, for a minute, with all that was in it."""
    for machine in site.redis.machines:
        machine.kill()
    time.sleep(LOST_SECONDS)
    for machine in site.redis.machines:
        machine.reboot()
        site.redis.serve(machine)


def redis_dies(site: Site) -> None:
    """The master's machine dies; Sentinel promotes the replica. Later the dead one comes back as a replica."""
    dead = site.redis.master()
    assert dead is not None
    dead.kill()
    time.sleep(OFF_SECONDS)
    dead.reboot()
    site.redis.serve(dead)


def clock_set(site: Site) -> None:
    """The clock of one machine is set forward, and back after a while."""
    site.machine("worker2").skew(SKEW_SECONDS)
    time.sleep(CUT_SECONDS)
    site.machine("worker2").skew(0)


def slow_link(site: Site) -> None:
    """Each packet from and to a worker machine is late, and some are lost."""
    with site.machine("worker1").slow(2 * DELAY_SECONDS, LOSS):
        time.sleep(2 * CUT_SECONDS)


FAULTS: dict[str, tuple[str, Fault]] = {
    "none": ("nothing", nothing),
    "web-db": ("link web1 – PostgreSQL cut, 20 s", cut_database),
    "worker-redis": ("link worker1 – Redis cut, 20 s", cut_redis),
    "worker-upstream": ("link worker2 – ThueSim cut, 20 s", _link("worker2", "upstream")),
    "web-cut": ("all of web2 cut, 20 s", cut_web2),
    "web-dies": ("power of web1 fails", _power("web1")),
    "worker-dies": ("power of worker1 (with a beat) fails", _power("worker1")),
    "db-dies": ("power of the primary fails, standby promoted after 3 s", database_dies),
    "redis-lost": ("Redis lost for a minute, and emptied", redis_lost),
    "redis-dies": ("power of Redis' master fails, Sentinel's fail-over", redis_dies),
    "clock": ("clock of worker2 set forward by 30 s, and back", clock_set),
    "slow": ("packets of worker1 late by 200 ms each way, 2 % lost", slow_link),
}
