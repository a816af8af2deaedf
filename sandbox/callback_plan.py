"""Which callbacks go out for a message or an expiry, in which order, and how the faults change them."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sandbox.books import EXPIRED, RECEIVED, Message, Rental
from sandbox.callback_sender import Callback, CallbackSender, encode, fields
from sandbox.faults import Faults
from sandbox.payloads import shown_code

FORMS = ("form", "form-nested", "nested", "flat")
# Added to a rental's number: the id of a rental that does not exist.
UNKNOWN_ID_OFFSET = 50_000_000


class CallbackPlan:
    """Composes callbacks and gives them to the sender, at once or over the agenda.

    `schedule(seconds, kind, callback)` puts an entry on the agenda: kind "callback" to send it, "release" to call
    `release` with it.
    """

    def __init__(self, faults: Faults, sender: CallbackSender, schedule: Callable[[float, str, Any], None]) -> None:
        self._faults = faults
        self._sender = sender
        self._schedule = schedule
        self._held_back: list[Callback] = []

    def compose(self, rental: Rental, url: str, message: Message | None, audio: str) -> Callback:
        """The callback of this message, or of the expiry where there is none."""
        return self._compose(rental, url, message, audio, rental.number)

    def _compose(self, rental: Rental, url: str, message: Message | None, audio: str, number: int) -> Callback:
        status = RECEIVED if message else EXPIRED
        full_id = self._fires("callback-full-id", rental) and rental.sv
        content = (audio if message.call else message.text) if message else None
        values = fields(
            str(status) if self._fires("numbers-as-strings", rental) else status,
            f"{number}.{rental.sv}" if full_id else str(number),
            shown_code(message) if message else None,
            content,
            bool(message and message.call),
        )
        form = next((form for form in FORMS if self._fires(f"callback-{form}", rental)), "data")
        content_type, body = encode(values, form)
        return Callback(rental.token, url, number, status, content_type, body)

    def announce(self, rental: Rental, url: str, message: Message | None, audio: str) -> None:
        """Send the callbacks of this message, or of the expiry, now or later."""
        if self._fires("callback-never", rental):
            return
        callback = self.compose(rental, url, message, audio)
        delay = self._value("callback-late", rental) or 0.0
        if self._fires("callback-junk", rental):
            self._send(replace(callback, body=b"status=1&{not json", content_type="application/json"), delay)
        if self._fires("callback-unknown-id", rental):
            self._send(self._compose(rental, url, message, audio, rental.number + UNKNOWN_ID_OFFSET), delay)
        if message and self._fires("callback-expired-first", rental):
            self._send(self.compose(rental, url, None, audio), delay)
            delay += 0.1
        hold = self._value("callback-out-of-order", rental)
        if hold is not None:
            self._held_back.append(callback)
            self._schedule(hold, "release", callback)
            return
        self._send(callback, delay)
        if self._fires("callback-twice", rental):
            self._send(replace(callback), delay + 0.05)
        for earlier in [earlier for earlier in self._held_back if earlier.token == rental.token]:
            self._schedule(delay + 0.1, "release", earlier)

    def release(self, callback: Callback) -> None:
        """Send a callback that was held back; nothing if it was released before."""
        if callback in self._held_back:
            self._held_back.remove(callback)
            self._sender.send(callback)

    def _send(self, callback: Callback, delay: float) -> None:
        if delay:
            self._schedule(delay, "callback", callback)
        else:
            self._sender.send(callback)

    def _fires(self, name: str, rental: Rental) -> bool:
        return self._faults.fires(name, "callback", rental.token)

    def _value(self, name: str, rental: Rental) -> float | None:
        return self._faults.value(name, "callback", rental.token)


def audio_path(rental: Rental, message: Message) -> str:
    """The address of a voice call's recording below the root, as the code endpoint prints it."""
    service = re.sub(r"\W", "", rental.service_name.split()[0])
    index = rental.messages.index(message)
    return f"/audio/play.php?01={rental.number}_{service}_{index:02d}{rental.number:x}.wav&phone={rental.phone}"
