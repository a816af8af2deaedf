"""What the stand-in sells: networks with their prefixes, services with their prices and the kind of their messages."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from random import Random


@dataclass(frozen=True)
class Network:
    """A carrier; `prefixes` are printed with the leading 0."""

    id: int
    name: str
    prefixes: tuple[str, ...]


@dataclass(frozen=True)
class Service:
    """A service to rent numbers for. `price` in đồng; `seconds` until a rental expires, None prints none and means 300.

    `story` names what messages it sends, see `messages.plan`.
    """

    id: int
    sv: str
    name: str
    price: int
    seconds: int | None = 300
    story: str = "code"

    @property
    def key(self) -> str:
        """`SV.ID`, or the bare ID for a service without a server number."""
        return f"{self.sv}.{self.id}" if self.sv else str(self.id)

    @property
    def lifetime(self) -> int:
        """Seconds until a rental of this service expires."""
        return 300 if self.seconds is None else self.seconds


NETWORKS = (
    Network(1, "MOBIFONE", ("089", "090", "093", "070", "076", "077", "078", "079")),
    Network(2, "VINAPHONE", ("088", "091", "094", "081", "082", "083", "084", "085")),
    Network(3, "VIETTEL", ("086", "096", "097", "098", "032", "033", "034", "035", "036", "037", "038", "039")),
    Network(4, "VIETNAMOBILE", ("092", "056", "058")),
    Network(5, "ITELECOM", ("087",)),
)
# Never in stock: a fault adds them to the list of networks, since the API page does not list them.
EXTRA_NETWORKS = (Network(6, "WINTEL", ("055",)), Network(7, "VODAFONE", ()))
NETWORK_OF_PREFIX = {prefix: network.name for network in NETWORKS for prefix in network.prefixes}

SERVICES = (
    Service(7, "01", "Facebook", 800),
    Service(1, "01", "Momo", 350),
    Service(2, "01", "Zalo", 1200, story="call"),
    Service(3, "01", "Telegram", 2500, story="second"),
    Service(4, "01", "Yahoo", 470),
    Service(5, "01", "Google / Gmail / Youtube", 1500, story="google"),
    Service(6, "01", "Shopee", 1100, story="zero"),
    Service(8, "01", "TikTok", 900),
    Service(9, "01", "Grab", 1300, 180),
    Service(10, "01", "Lazada", 1000),
    Service(11, "01", "Tiki", 900, story="null"),
    Service(12, "01", "Be", 800),
    Service(13, "01", "ZaloPay", 1250),
    Service(14, "01", "ViettelPay", 1400),
    Service(15, "01", "Instagram", 900),
    Service(16, "01", "WhatsApp", 3200, story="call"),
    Service(17, "01", "Viber", 1800, story="call"),
    Service(18, "01", "Twitter / X", 1600),
    Service(19, "01", "Microsoft / Outlook", 1000, story="google"),
    Service(20, "01", "Apple ID", 3500, 600),
    Service(21, "01", "Amazon", 3000),
    Service(22, "01", "PayPal", 4500, 600),
    Service(23, "01", "Netflix", 2800),
    Service(24, "01", "Discord", 2000),
    Service(25, "01", "Steam", 2600),
    Service(26, "01", "LinkedIn", 1700),
    Service(27, "01", "WeChat", 4200),
    Service(28, "01", "LINE", 1500, story="letters"),
    Service(29, "01", "KakaoTalk", 2200),
    Service(30, "01", "Bách Hoá Xanh", 600),
    Service(31, "01", "Highlands Coffee", 500, story="null"),
    Service(32, "01", "The Coffee House", 500),
    Service(7, "02", "Facebook (SV2)", 950),
    Service(33, "02", "Gojek", 1200),
    Service(34, "02", "VNPAY", 1350, story="zero"),
    Service(35, "02", "Chợ Tốt", 700),
    Service(97, "02", "DV KHÁC (TEST)", 1450),
    Service(98, "02", "Không có tin (TEST)", 400, 60, story="never"),
    Service(99, "02", "Nhanh 60 giây (TEST)", 350, 60),
    Service(97, "03", "DV KHÁC (SV3)", 1600, 600),
    Service(40, "10", "Sendo", 850),
    Service(41, "10", "OpenAI / ChatGPT", 3900, 600),
    Service(301, "", "Vé xe khách", 650, None),
)
CATALOG = {service.key: service for service in SERVICES}


def find_service(services: Mapping[str, Service], service_id: str) -> Service | None:
    """The service with the id `SV.ID`; a bare ID means the first one with that ID, as section 3 of the API page allows."""
    exact = services.get(service_id)
    if exact or "." in service_id:
        return exact
    return next((service for service in services.values() if str(service.id) == service_id), None)


def full_stock(count: int | None) -> dict[str, int | None]:
    """`count` numbers at every prefix; None never runs out."""
    return {prefix: count for network in NETWORKS for prefix in network.prefixes}


def subscriber(prefix: str, nth: int, seed: int) -> str:
    """The `nth` number taken, nine digits without the leading 0; the first ten million numbers all differ."""
    # 6364137 shares no factor with 10 million, so every ending comes once before one comes again.
    return f"{prefix[1:]}{(nth * 6364137 + seed * 7919) % 10_000_000:07d}"


def draw(seed: int, *about: object) -> Random:
    """A random generator for one decision: the same for the same `about`, whatever the threads did before."""
    return Random(":".join(str(part) for part in (seed, *about)))  # noqa: S311 - repeatable, not secret


def demo_token(seed: int, nth: int = 1) -> str:
    """The `nth` made-up API token of a seed: `<number>-<32 hex>`."""
    digits = hashlib.sha256(f"thuesim sandbox token {seed} {nth}".encode()).hexdigest()[:32]
    return f"{4800 + nth}-{digits}"
