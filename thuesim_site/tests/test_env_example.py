import re

from thuesim_site.start.environment import BASE_DIR
from thuesim_site.testing import known_names

READ_IN = ["thuesim_site/settings.py", "thuesim_site/start/first_start.py"]
READING = re.compile(r'(?:env\.\w+|ENVIRON\.get)\(\s*"(\w+)"')


def test_it_lists_what_is_read_in_the_order_of_reading() -> None:
    read = [name for path in READ_IN for name in READING.findall((BASE_DIR / path).read_text())]
    assert known_names() == list(dict.fromkeys(read))


def test_it_can_be_copied_as_it_is() -> None:
    lines = (BASE_DIR / ".env.example").read_text().splitlines()
    assert [line for line in lines if line and not line.startswith("#")] == []
