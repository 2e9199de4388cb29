"""Who may talk to the node: address, AE titles and numbers in, yes or a refusal with its A-ASSOCIATE-RJ codes out.

Deny by default: beyond loopback only the configured peers are answered.
"""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from workers.config import ListenerSettings

Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True)
class Refusal:
    """Codes of the A-ASSOCIATE-RJ PDU (PS3.8 section 9.3.4) and a short reason for log and metrics."""

    result: int
    source: int
    diagnostic: int
    reason: str


UNKNOWN_CALLING_AE = Refusal(1, 1, 3, "calling_ae_not_listed")
UNKNOWN_CALLED_AE = Refusal(1, 1, 7, "called_ae_not_ours")
UNKNOWN_ADDRESS = Refusal(1, 1, 1, "address_not_listed")
TOO_MANY = Refusal(2, 3, 2, "too_many_associations")


def parse_address(text: str) -> Address:
    """An IP address; an IPv4 address that came in through an IPv6 socket counts as what it is."""
    address = ipaddress.ip_address(text.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def loopback_only(settings: ListenerSettings) -> bool:
    """Whether the node cannot be reached from other machines."""
    if settings.host == "localhost":
        return True
    try:
        return parse_address(settings.host).is_loopback
    except ValueError:
        return False


def address_may_connect(settings: ListenerSettings, address: Address) -> bool:
    """Whether anybody at this address could be admitted: asked before a byte is read."""
    if not settings.peers:
        return loopback_only(settings) and address.is_loopback
    return any(_at_home(peer.hosts, address) for peer in settings.peers)


def check(settings: ListenerSettings, *, address: Address, calling_ae: str, called_ae: str) -> Refusal | None:
    """Decide on one association request. None: welcome.

    Args:
        address: where the connection comes from.
        calling_ae, called_ae: AE titles of the request, without padding.
    """
    if called_ae != settings.ae_title:
        return UNKNOWN_CALLED_AE
    if not address_may_connect(settings, address):
        return UNKNOWN_ADDRESS
    if not settings.peers:
        return None
    if any(peer.ae_title == calling_ae and _at_home(peer.hosts, address) for peer in settings.peers):
        return None
    return UNKNOWN_CALLING_AE


def room_for(settings: ListenerSettings, open_from: Iterable[Address], address: Address) -> bool:
    """Whether one more connection from ``address`` fits the limits, given where the open ones come from."""
    count = Counter(open_from)
    return count.total() < settings.max_associations and count[address] < settings.max_associations_per_address


def _at_home(hosts: tuple[str, ...], address: Address) -> bool:
    return not hosts or any(address in ipaddress.ip_network(host, strict=False) for host in hosts)
