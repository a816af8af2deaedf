"""How the stand-in is set up, and how it says no."""

from dataclasses import dataclass


@dataclass
class Settings:
    """How the stand-in behaves; all times in seconds, money in đồng.

    `message_after` is the shortest and longest wait for a message, None: none by itself. `lifetime` replaces the `Time`
    of every service. `history_limit` is how many rows history gives when not asked for a number.
    """

    seed: int = 1
    gap: float = 5.0
    waiting_limit: int = 10
    message_after: tuple[float, float] | None = (6.0, 25.0)
    refund_after: float = 60.0
    balance: int = 500_000
    envelope: str = "page"
    any_token: bool = False
    lifetime: float | None = None
    history_limit: int = 500


class Refused(Exception):
    """The upstream says no; `reason` is a key of `payloads.REFUSALS`. No number was taken."""

    def __init__(self, reason: str, **about: object) -> None:
        super().__init__(reason)
        self.reason = reason
        self.about = about
