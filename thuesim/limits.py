"""How much of what ThueSim says is kept. The parsers keep to this table, so code that stores their values can rely on it.

Lengths are in characters where they do not say bytes, money is in đồng.
"""

from typing import Final

# Of a rental, a service, a server or a network. A longer id is none: cut short, it would be another one.
MAX_ID_LENGTH: Final = 64
# A network is asked for by its name, so one with a longer name is left out, while a service's name is only read: it is cut.
MAX_NETWORK_LENGTH: Final = 40
MAX_NAME_LENGTH: Final = 120
MAX_PHONE_LENGTH: Final = 20  # in E.164
MAX_PHONE_DIGITS: Final = 15  # with the country's 84, as E.164 allows

MAX_PRICE: Final = 2**31 - 1  # a higher price is none
MAX_BALANCE: Final = 10**15 - 1
MAX_WAITING_SECONDS: Final = 7 * 86_400

# A longer code is a text in the wrong place.
MAX_CODE_LENGTH: Final = 20
# A longer text is cut, and ends with this mark then.
MAX_TEXT_BYTES: Final = 10_000
CUT_MARK: Final = " […]"
# A longer address of a recording is none: cut short, it would be another one.
MAX_ADDRESS_LENGTH: Final = 2000
# The words of a refusal.
MAX_REASON_LENGTH: Final = 300


def shortened(text: str) -> str:
    """Return a message's text whole, or cut to `MAX_TEXT_BYTES` of UTF-8 with `CUT_MARK` at its end."""
    whole = text.encode()
    if len(whole) <= MAX_TEXT_BYTES:
        return text
    return whole[: MAX_TEXT_BYTES - len(CUT_MARK.encode())].decode(errors="ignore") + CUT_MARK
