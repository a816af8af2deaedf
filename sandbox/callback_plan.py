"""Which callbacks go out for a message or an expiry, and what the faults make of them."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sandbox.books import Message, Rental
from sandbox.callback_sender import Callback, CallbackSender, encode, fields
from sandbox.faults import Faults
from sandbox.payloads import shown_code

FORMS = ("form", "form-nested", "nested", "flat")
NOT_OURS = 50_000_000


class CallbackPlan:
    """Composes callbacks and hands them to the sender; `schedule(seconds, kind, about)` is the agenda of the rules."""

    def __init__(self, faults: Faults, sender: CallbackSender, schedule: Callable[[float, str, Any], None]) -> None:
        self._faults = faults
        self._sender = sender
        self._schedule = schedule
        self._held: list[Callback] = []

    def compose(self, rental: Rental, url: str, message: Message | None, audio: str) -> Callback:
        """The callback that tells of this message, or of the expiry where there is none."""
        return self._compose(rental, url, message, audio, rental.number)

    def _compose(self, rental: Rental, url: str, message: Message | None, audio: str, number: int) -> Callback:
        status = 1 if message else 2
        full = self._fires("callback-full-id", rental) is not None and rental.sv
        content = (audio if message.call else message.text) if message else None
        values = fields(
            str(status) if self._fires("numbers-as-strings", rental) is not None else status,
            f"{number}.{rental.sv}" if full else str(number),
            shown_code(message) if message else None,
            content,
            bool(message and message.call),
        )
        form = next((form for form in FORMS if self._fires(f"callback-{form}", rental) is not None), "data")
        content_type, body = encode(values, form)
        return Callback(rental.token, url, number, status, content_type, body)

    def announce(self, rental: Rental, url: str, message: Message | None, audio: str) -> None:
        """Send what there is to send, now or on the agenda."""
        if self._fires("callback-never", rental) is not None:
            return
        callback = self.compose(rental, url, message, audio)
        wait = self._fires("callback-late", rental) or 0.0
        if self._fires("callback-junk", rental) is not None:
            self._send(replace(callback, body=b"status=1&{not json", content_type="application/json"), wait)
        if self._fires("callback-unknown-id", rental) is not None:
            self._send(self._compose(rental, url, message, audio, rental.number + NOT_OURS), wait)
        if message and self._fires("callback-expired-first", rental) is not None:
            self._send(self.compose(rental, url, None, audio), wait)
            wait += 0.1
        hold = self._fires("callback-out-of-order", rental)
        if hold is not None:
            self._held.append(callback)
            self._schedule(hold, "release", callback)
            return
        self._send(callback, wait)
        if self._fires("callback-twice", rental) is not None:
            self._send(replace(callback), wait + 0.05)
        for held in [held for held in self._held if held.token == rental.token]:
            self._schedule(wait + 0.1, "release", held)

    def release(self, callback: Callback) -> None:
        """Send a callback that was held back, if it still is."""
        if callback in self._held:
            self._held.remove(callback)
            self._sender.send(callback)

    def _send(self, callback: Callback, wait: float) -> None:
        if wait:
            self._schedule(wait, "callback", callback)
        else:
            self._sender.send(callback)

    def _fires(self, name: str, rental: Rental) -> float | None:
        return self._faults.fires(name, "callback", rental.token)


def audio_path(rental: Rental, message: Message) -> str:
    """The address of a call's audio, below the root, as the code call prints it."""
    service = re.sub(r"\W", "", rental.service_name.split()[0])
    index = rental.messages.index(message)
    return f"/audio/play.php?01={rental.number}_{service}_{index:02d}{rental.number:x}.wav&phone={rental.phone}"
