"""Canaille, an OpenID provider, with people, groups and clients in memory. Runs in a virtual environment of its own:
see `bench.provider`. What it serves comes as JSON on the standard input; `ready` on the output says that it answers."""

import json
import sys
from typing import Any

from canaille import create_app  # type: ignore[import-not-found]
from canaille.app import models  # type: ignore[import-not-found]
from canaille.backends import Backend  # type: ignore[import-not-found]
from werkzeug.serving import make_server


def main() -> None:
    wanted = json.load(sys.stdin)
    address = f"127.0.0.1:{wanted['port']}"
    app = create_app(
        {
            "SECRET_KEY": "only-for-a-try-on-this-machine-alone",
            "SERVER_NAME": address,
            "PREFERRED_URL_SCHEME": "http",
            "CANAILLE": {
                "DATABASE": "memory",
                "LANGUAGE": "en",
                "NAME": "Office",
                "LOGGING": {"version": 1, "root": {"level": "ERROR"}},
            },
            "CANAILLE_OIDC": {"ACTIVE_JWKS": [wanted["key"]]},
        }
    )
    with app.app_context():
        _fill(wanted)
    server = make_server("127.0.0.1", wanted["port"], app, threaded=True)
    print("ready", flush=True)
    server.serve_forever()


def _fill(wanted: dict[str, Any]) -> None:
    """Make the people, groups and clients."""
    people = {}
    for name, person in wanted["people"].items():
        people[name] = models.User(
            user_name=name,
            given_name=person["given_name"],
            family_name=person["family_name"],
            formatted_name=f"{person['given_name']} {person['family_name']}",
            display_name=name,
            emails=[person["email"]],
            password=person["password"],
        )
        Backend.instance.save(people[name])
    for name, members in wanted["groups"].items():
        Backend.instance.save(models.Group(display_name=name, members=[people[member] for member in members]))
    for client in wanted["clients"]:
        row = models.Client(
            client_id=client["client_id"],
            client_secret=client["client_secret"],
            client_name=client["client_id"],
            client_uri=client["address"],
            redirect_uris=client["redirect_uris"],
            post_logout_redirect_uris=client["post_logout_redirect_uris"],
            grant_types=["authorization_code"],
            response_types=["code"],
            scope=["openid", "profile", "email", "groups"],
            token_endpoint_auth_method="client_secret_post",
            id_token_signed_response_alg="RS256",
        )
        Backend.instance.save(row)
        row.audience = [row]  # of its tokens; only a stored row has an id for it
        Backend.instance.save(row)


if __name__ == "__main__":
    main()
