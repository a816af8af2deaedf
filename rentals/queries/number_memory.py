"""What a team knows of one number from its own rentals: how often, for what, whether a code came, when and by whom last."""

from dataclasses import dataclass
from datetime import datetime

from django.db.models import Count, Max, Q

from accounts.models import User
from accounts.policy import Access
from rentals.models import Rental, Status

# A number was really had.
RENTED = (Status.WAITING, Status.RECEIVED, Status.EXPIRED)


@dataclass(frozen=True, slots=True)
class ServiceMemory:
    """How a number did with one service: `times` rented, `codes` times with a message."""

    name: str
    times: int
    codes: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class NumberMemory:
    """What the team knows of a number. `services` has the one rented last first; `last_person` is None for a rental that was
    made elsewhere."""

    times: int
    codes: int
    services: tuple[ServiceMemory, ...]
    last_at: datetime
    last_person: User | None


def memory_of(access: Access, phone: str) -> NumberMemory | None:
    """Return what the person's team knows of a number in E.164; None where it never had it. Two queries."""
    rented = (
        Rental.objects.visible_to(access).filter(phone=phone, status__in=RENTED) if phone else Rental.objects.none()
    )
    last = rented.select_related("person").order_by("-queued_at", "-pk").first()
    if last is None:
        return None
    rows = rented.order_by().values_list("service__upstream_id", "service__name")
    # A service that is listed with a server and without one is one service, with the same ID and name.
    counted = rows.annotate(
        times=Count("pk"), codes=Count("pk", filter=Q(status=Status.RECEIVED)), last_at=Max("queued_at")
    )
    services = [ServiceMemory(name, times, codes, last_at) for _id, name, times, codes, last_at in counted]
    services.sort(key=lambda service: service.last_at, reverse=True)
    return NumberMemory(
        times=sum(service.times for service in services),
        codes=sum(service.codes for service in services),
        services=tuple(services),
        last_at=last.queued_at,
        last_person=last.person,
    )
