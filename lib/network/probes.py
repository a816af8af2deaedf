"""Probes: what the desk asks itself through its public address, to see what arrives behind the proxy.

A probe's address is signed and holds for ten minutes, so that nobody else can ask for one; its answer is signed, too, so
that no other program is taken for the desk. Neither holds a secret.
"""

import secrets
from typing import Any

from django.core import signing

PATH = "/probe/"
MAX_AGE_SECONDS = 600  # the clocks of two machines may differ: that is one of the things to see
# When the events of a probe's stream are sent: the first at once, then the next after so many seconds each. The last one
# comes after a longer silence than any stream of the desk keeps (`BEAT_SECONDS` in `api/holding.py`).
SECOND_EVENT_SECONDS, SILENT_SECONDS = 2.0, 16.0

_ASKS, _ANSWERS = "desk.probe", "desk.probe.answer"


def new_token() -> str:
    """Return a token for the address of one probe."""
    return signing.dumps(secrets.token_urlsafe(9), salt=_ASKS)


def is_valid(token: str) -> bool:
    """Whether a desk with our key made the token within the last ten minutes."""
    try:
        signing.loads(token, salt=_ASKS, max_age=MAX_AGE_SECONDS)
    except signing.BadSignature:
        return False
    return True


def answer(facts: dict[str, Any], token: str) -> str:
    """Return what a probe is answered: the facts, signed, for this token alone."""
    return signing.dumps({"token": token, **facts}, salt=_ANSWERS)


def facts_of(text: str, token: str) -> dict[str, Any] | None:
    """Return the facts in an answer; None where it is none of ours to this token."""
    try:
        facts = signing.loads(text, salt=_ANSWERS, max_age=MAX_AGE_SECONDS)
    except signing.BadSignature:
        return None
    return facts if isinstance(facts, dict) and facts.get("token") == token else None
