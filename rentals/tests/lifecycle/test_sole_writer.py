"""A tripwire: only `rentals.lifecycle` writes a rental's status.

It reads the source for the ways in which one writes a status by habit. A write that is hidden on purpose gets past.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.conf import settings

PACKAGES = ("thuesim_site", "pages", "rentals", "accounts", "lib", "thuesim")
ELSEWHERE = {"tests", "migrations", "lifecycle"}
# Makes up a whole month at once, of rentals that never lived.
INVENTS = "rentals/management/commands/demo_data.py"
# Writes `refund_missing`, a column of its own, by triggers.
MARKS = "rentals/missing_refunds.py"
CREATORS = {"create", "bulk_create", "get_or_create", "update_or_create"}


def writes(source: str) -> list[str]:
    """Return the statements in `source` that may write a rental's status."""
    return [ast.unparse(node) for node in ast.walk(ast.parse(source)) if _writes(node)]


def _writes(node: ast.AST) -> bool:
    if isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign | ast.For | ast.withitem):
        return any(isinstance(target, ast.Attribute) and target.attr == "status" for target in _targets(node))
    if isinstance(node, ast.Call):
        return _call_writes(node)
    return isinstance(node, ast.Constant) and "update rentals_rental" in str(node.value).lower().replace('"', "")


def _targets(node: ast.AST) -> Iterator[ast.AST]:
    targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    for target in targets:
        if target is not None:
            yield from ast.walk(target)


def _call_writes(call: ast.Call) -> bool:
    called = ast.unparse(call.func)
    name = called.rsplit(".", 1)[-1]
    named = {keyword.arg for keyword in call.keywords}
    about_rentals = "rental" in called.lower()
    if name == "update":
        return "status" in named or (None in named and about_rentals)
    if name in CREATORS:
        return about_rentals and called.startswith("Rental.")
    if name == "Rental":
        return True
    if name in {"setattr", "__setattr__"}:
        return "rental" in ast.unparse(call.args[0]).lower() or _mentions_status(call)
    return name in {"bulk_update", "save", "asave"} and _mentions_status(call)


def _mentions_status(call: ast.Call) -> bool:
    return any(isinstance(node, ast.Constant) and node.value == "status" for node in ast.walk(call))


def test_nobody_else_writes_a_status() -> None:
    root = Path(settings.BASE_DIR)
    found = {
        str(path.relative_to(root)): lines
        for package in PACKAGES
        for path in (root / package).rglob("*.py")
        if ELSEWHERE.isdisjoint(path.relative_to(root).parts) and (lines := writes(path.read_text()))
    }
    assert set(found) == {INVENTS, MARKS}


@pytest.mark.parametrize(
    "source",
    [
        "rental.status = Status.EXPIRED",
        "rental.status, rental.reason = Status.EXPIRED, ''",
        "order.rental.status: str = 'expired'",
        "Rental.objects.filter(pk=f(1)).update(status='expired')",
        "orders.update(ended_at=now(), status='expired')",
        "Rental.objects.filter(pk=1).update(**fields)",
        "team.rentals.update(**fields)",
        "setattr(rental, name, value)",
        "setattr(order, 'status', value)",
        "Rental.objects.bulk_update(late, ['due_at', 'status'])",
        "rental.save(update_fields=['status'])",
        "Rental.objects.bulk_create(rows)",
        "Rental(team=team, status='waiting')",
        "cursor.execute('UPDATE \"rentals_rental\" SET status = %s')",
    ],
)
def test_the_tripwire_sees_the_ways_to_write_one(source: str) -> None:
    assert writes(source)


@pytest.mark.parametrize(
    "source",
    [
        "if rental.status == Status.EXPIRED: pass",
        "Rental.objects.filter(status='waiting').update(due_at=None)",
        "Token.objects.filter(pk=1).update(**fields)",
        "setattr(token, name, value)",
        "card = Card(status=rental.status)",
        "response.status_code = 404",
        "token.save(update_fields=['name'])",
    ],
)
def test_the_tripwire_lets_pass_what_writes_none(source: str) -> None:
    assert not writes(source)
