from thuesim_site.start.environment import BASE_DIR
from thuesim_site.start.variables import VARIABLES
from thuesim_site.testing import known_names


def test_it_lists_every_variable_in_the_order_of_the_table() -> None:
    assert known_names() == [variable.name for variable in VARIABLES]


def test_it_shows_the_defaults() -> None:
    shown = dict(
        line.removeprefix("#").split("=", 1)
        for line in (BASE_DIR / ".env.example").read_text().splitlines()
        if line.startswith("#") and not line.startswith("# ") and "=" in line
    )
    examples = {"DESK_DATA_DIR", "EMAIL_URL"}  # shown as one would write them
    defaults = {each.name: str(each.default) for each in VARIABLES if each.default and each.name not in examples}
    assert {name: shown.get(name) for name in defaults} == defaults


def test_it_can_be_copied_as_it_is() -> None:
    lines = (BASE_DIR / ".env.example").read_text().splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == []
