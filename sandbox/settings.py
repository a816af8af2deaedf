"""The settings of the stand-in, and the error of a refusal."""

from dataclasses import dataclass


@dataclass
class Settings:
    """How the stand-in behaves; all times in seconds, money in đồng.

    `message_after` is the shortest and the longest wait for a message; with None, messages come by hand only.
    `lifetime` replaces the `Time` of every service. `history_limit` is how many rows history has without a limit asked.
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
    """The stand-in refuses: no number was taken. `reason` is a key of `payloads.REFUSALS`, `values` fill its text."""

    def __init__(self, reason: str, **values: object) -> None:
        super().__init__(reason)
        self.reason = reason
        self.values = values
