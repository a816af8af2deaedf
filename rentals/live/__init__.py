"""Live changes: `announce` publishes one, `rentals.live.hub` fans it out to the open screens.

What travels through Redis says only that something changed: ids, never a code, a phone number or a token. The
database answers what it became, and `accounts.policy` who may see it.
"""

from rentals.live.announcing import announce, announce_person, announce_team

__all__ = ["announce", "announce_person", "announce_team"]
