"""ThueSim lists its services with their servers or without, so that one may stand here twice: as `02.97` and as `97`. What
hangs on the one that is no longer offered moves to the one that is.

Favourites and a team's allowed services follow the catalog in both directions. Rentals move from the service without a
server alone: the server of the others is needed to rent their numbers again.
"""

from collections.abc import Iterator

from django.db import transaction
from django.db.models import Exists, OuterRef, Q

from accounts.models import Team
from rentals.models import Rental, Service, StarredService

BATCH = 1000


def move_to_offered() -> int:
    """Move what hangs on services that are not offered to their twins that are. Returns how many rentals moved.

    One query where nothing is to be done. May run twice and at once; each batch is a transaction of its own.
    """
    moved = 0
    for service in _with_offered_twin():
        twin = service.offered()
        if twin != service:
            _move_choices(service, twin)
        if not service.sv:
            moved += sum(_move_rentals(service, batch) for batch in _batches(service))
    return moved


def _with_offered_twin() -> list[Service]:
    offered = Service.objects.filter(active=True, upstream_id=OuterRef("upstream_id"))
    # With the same name, unless its own was never known.
    offered = offered.filter(Q(search_name=OuterRef("search_name")) | Q(upstream_id=OuterRef("name")))
    hangs = (
        Exists(StarredService.objects.filter(service=OuterRef("pk")))
        | Exists(Team.services.through.objects.filter(service=OuterRef("pk")))
        | (Q(sv="") & Exists(Rental.objects.filter(service=OuterRef("pk"))))
    )
    return list(Service.objects.filter(hangs, Exists(offered), active=False))


@transaction.atomic
def _move_choices(service: Service, twin: Service) -> None:
    """Move the favourites and the teams' allowed services."""
    stars = StarredService.objects.filter(service=service)
    StarredService.objects.bulk_create(
        [StarredService(person_id=person, service=twin) for person in stars.values_list("person", flat=True)],
        ignore_conflicts=True,
    )
    stars.delete()
    for team in Team.objects.filter(services=service):
        team.services.add(twin)
        team.services.remove(service)


def _batches(service: Service) -> Iterator[list[Rental]]:
    """Yield the rentals of a service in batches, each once: some may stay."""
    last = 0
    of_service = Rental.objects.filter(service=service).order_by("pk").only("upstream_id")
    while batch := list(of_service.filter(pk__gt=last)[:BATCH]):
        last = batch[-1].pk
        yield batch


def _move_rentals(service: Service, rentals: list[Rental]) -> int:
    """Move rentals to the twin on the server that their id names, or to the only one. Returns how many moved."""
    by_server: dict[str, list[int]] = {}
    for rental in rentals:
        by_server.setdefault(rental.upstream_id.partition(".")[2], []).append(rental.pk)
    moved = 0
    for sv, keys in by_server.items():
        twin = service.offered(sv=sv)
        if twin != service:
            moved += Rental.objects.filter(pk__in=keys, service=service).update(service=twin)
    return moved
