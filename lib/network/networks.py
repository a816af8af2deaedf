"""Which IP addresses belong to the internet, and which others a setting lets in."""

import ipaddress
import re
from dataclasses import dataclass

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
# Its addresses stand for the IPv4 address in their last 32 bits (NAT64, RFC 6052).
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
# Python takes these for addresses of the internet: protocol assignments (RFC 6890), the relays of 6to4 (RFC 7526), and
# documentation (RFC 9637).
_NOT_PUBLIC = [ipaddress.ip_network(text) for text in ("192.0.0.0/24", "192.88.99.0/24", "3fff::/20")]


@dataclass(frozen=True, slots=True)
class Allowed:
    """A private network that may be sent to: on one port, or on any where that is None."""

    network: ipaddress.IPv4Network | ipaddress.IPv6Network
    port: int | None

    def covers(self, address: Address, port: int) -> bool:
        return self.port in {None, port} and address in self.network


def parse_allowed(text: str) -> Allowed:
    """Read `10.0.0.0/8`, `192.168.1.5:8080` or `[fd00::1]:443`. Raises `ValueError`."""
    match = re.fullmatch(r"\[([^\]]+)\](?::(\d{1,5}))?|([^:]+):(\d{1,5})", text)
    network, port = (match[1] or match[3], match[2] or match[4]) if match else (text, None)
    number = int(port) if port else None
    if number is not None and not 1 <= number <= 65535:
        raise ValueError(text)
    return Allowed(ipaddress.ip_network(network, strict=False), number)


def is_public(address: Address) -> bool:
    """Whether an address belongs to the internet, and so does any IPv4 address that it stands for."""
    return all(
        one.is_global
        and not (one.is_multicast or one.is_reserved or one.is_unspecified or one.is_loopback)
        and not any(one in network for network in _NOT_PUBLIC)
        for one in meant(address)
    ) and not (isinstance(address, ipaddress.IPv6Address) and (address.is_site_local or address.scope_id))


def meant(address: Address) -> list[Address]:
    """Return the IPv4 addresses that an IPv6 address stands for, else the address itself."""
    if isinstance(address, ipaddress.IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.sixtofour is not None:
        return [address, address.sixtofour]
    if address.teredo is not None:
        return [address, *address.teredo]
    if address in _NAT64:
        return [ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)]
    return [address]
