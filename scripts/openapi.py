"""Write the OpenAPI document of the API to docs/openapi.json: `.venv/bin/python -m scripts.openapi`."""

import json
import os
from pathlib import Path

import django


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "thuesim_site.settings")
    django.setup()
    from api.desk_api import openapi  # after the set-up: it needs the models

    path = Path(__file__).resolve().parent.parent / "docs" / "openapi.json"
    path.write_text(json.dumps(openapi(), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
