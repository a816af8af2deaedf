"""Which network's numbers begin with what: the first content of `Network` and `Prefix`, editable in the admin.

Names are the upstream's own where it has one (API page, section 1). Digits stand without the leading 0. A number may
have moved to another network since, so this tells what is likely.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from django.db.models import Model

PREFIXES: dict[str, tuple[str, ...]] = {
    "MOBIFONE": ("89", "90", "93", "70", "76", "77", "78", "79", "30", "51"),  # 89 is shared with Local
    "VINAPHONE": ("88", "91", "94", "81", "82", "83", "84", "85"),
    "VIETTEL": ("86", "96", "97", "98", "31", "32", "33", "34", "35", "36", "37", "38", "39"),
    "VIETNAMOBILE": ("92", "52", "56", "58"),
    "ITELECOM": ("87",),
    "WINTEL": ("55",),
    "GMOBILE": ("59", "99"),
    # Networks without masts of their own, on MobiFone's: the longer prefix wins.
    "FPT": ("775",),
    "VNSKY": ("777", "778"),
}


def seed(network_model: "type[Model]", prefix_model: "type[Model]") -> None:
    """Add the networks and prefixes that are missing; what is there stays as it is. For a data migration.

    A network becomes "offered" only once the upstream lists it.
    """
    for name, prefixes in PREFIXES.items():
        network, _ = network_model._default_manager.get_or_create(name=name, defaults={"active": False})
        for digits in prefixes:
            prefix_model._default_manager.get_or_create(digits=digits, defaults={"network": network})
