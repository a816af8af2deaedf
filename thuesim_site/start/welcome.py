"""What the start prints once the first page is there: the address, who signs in how, and what is to be done next."""

import textwrap
from typing import Any

from thuesim_site.start import demo, variables
from thuesim_site.start.checks import Setup


def welcome(setup: Setup, about: dict[str, Any], url: str, *, demo_moved: bool) -> str:
    """Return it as lines for a terminal. `about` is what `prepare` returns; `demo_moved` says that this start moved an
    earlier version's demo out of the data directory."""
    lines = [f"  {url}/", ""]
    if not variables.PASSWORDS.read():
        lines.append(f"  sign in with  {', '.join(each.name for each in variables.OIDC.read().values())}")
    for person in about["people"] if variables.PASSWORDS.read() else ():
        password = person["password"] or person["password_file"] or "(the one you set)"
        lines.append(f"  sign in as  {person['username']:<8}  password  {password:<16}  {person['role']}")
    lines += _about_the_demo(setup, about, demo_moved=demo_moved)
    if setup.demo:
        lines += ["", "  Demo mode: the sandbox stands in for ThueSim, and no money is spent."]
        if variables.THUESIM_TOKEN.read():
            lines.append("  THUESIM_TOKEN is not used in demo mode: set THUESIM_BASE_URL as well.")
    if refused := about["token_refused"]:
        lines += ["", f"  THUESIM_TOKEN: {refused}", "  Sign in as an admin and open System, Set up ThueSim."]
    if not about["has_token"]:
        lines += ["", "  No token yet: sign in as an admin, and the desk leads from the token to the first number."]
    if setup.public_url.startswith("https://") and not variables.PROXIES.read():
        lines += ["", "  DESK_PROXIES names no proxy: all who come through one count as one address (see README)."]
    lines.append(f"  Ctrl-C stops everything; the data stays in {setup.data_dir}")
    rule = "─" * max(len(line) + 2 for line in lines)
    warning = [textwrap.fill(about["key_missing"], len(rule)), rule] if about["key_missing"] else []
    return "\n".join([rule, "  ThueSim Desk is ready", "", *lines, rule, *warning])


def _about_the_demo(setup: Setup, about: dict[str, Any], *, demo_moved: bool) -> list[str]:
    """Say where the demo is, seen from the true service."""
    lines, apart = [], variables.DATA_DIR.read() / demo.FOLDER
    if demo_moved:
        lines.append(f"  The demo of an earlier version was moved to {apart}.")
    if not setup.demo and (apart / demo.DATABASE).exists():
        lines.append(f"  Nothing of the demo is in this database: it stays in {apart}.")
    if rentals := about["demo_rentals"]:
        lines.append(f"  This database has {rentals} rentals of the demo, with their money: filter by the token Demo.")
    return ["", *lines] if lines else []
