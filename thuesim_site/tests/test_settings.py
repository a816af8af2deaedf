from django.template import Context, Template
from django.utils import translation


def test_a_number_in_a_page_is_written_without_separators() -> None:
    """Ids stand in attributes and addresses: `rental-12.345` would be another one. Money has a filter of its own."""
    for language in ("vi", "en"):
        with translation.override(language):
            assert Template("rental-{{ pk }}").render(Context({"pk": 12345})) == "rental-12345"
