"""Who may talk to the node: address, AE titles and numbers in, yes or a refusal with its A-ASSOCIATE-RJ codes out.

Deny by default: beyond loopback only the configured peers are answered.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from workers.settings import ListenerSettings, Peer

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
FAULT = Refusal(2, 3, 1, "fault")  # PS3.8 table 9-21: for now, temporary congestion
TOO_MANY_OF_PEER = Refusal(2, 3, 2, "too_many_associations_of_this_peer")
UNKNOWN_CERTIFICATE = Refusal(1, 1, 1, "certificate_not_listed")
UNKNOWN_USER = Refusal(1, 2, 1, "user_not_known")  # PS3.7 section D.3.3.7: rejected by the ACSE


@dataclass(frozen=True)
class Identity:
    """What a connection and its association request prove, beside address and AE title.

    certificate_sha256: hexadecimal, of the verified client certificate; common_name: of its subject. user, passcode: as
    sent, None when the request has no user identity.
    """

    certificate_sha256: str | None = None
    common_name: str | None = None
    user: str | None = None
    passcode: str | None = None


NOBODY = Identity()


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


def check(
    settings: ListenerSettings, *, address: Address, calling_ae: str, called_ae: str, identity: Identity = NOBODY
) -> Refusal | None:
    """Decide on one association request. None: welcome.

    Args:
        address: where the connection comes from.
        calling_ae, called_ae: AE titles of the request, without padding.
        identity: what else it proves.
    """
    if called_ae != settings.ae_title:
        return UNKNOWN_CALLED_AE
    if not address_may_connect(settings, address):
        return UNKNOWN_ADDRESS
    if not settings.peers:
        return None
    known = _at_address(settings, address, calling_ae)
    if not known:
        return UNKNOWN_CALLING_AE
    shown = [peer for peer in known if _shows_certificate(peer, identity)]
    if not shown:
        return UNKNOWN_CERTIFICATE
    return None if any(_is_user(peer, identity) for peer in shown) else UNKNOWN_USER


def peer_of(
    settings: ListenerSettings, *, address: Address, calling_ae: str, identity: Identity = NOBODY
) -> Peer | None:
    """The entry of the list under which an association that passed ``check`` was admitted; None without a list."""
    known = _at_address(settings, address, calling_ae)
    return next((peer for peer in known if _shows_certificate(peer, identity) and _is_user(peer, identity)), None)


def _at_address(settings: ListenerSettings, address: Address, calling_ae: str) -> list[Peer]:
    return [peer for peer in settings.peers if peer.ae_title == calling_ae and _at_home(peer.hosts, address)]


def _shows_certificate(peer: Peer, identity: Identity) -> bool:
    shown = {f"sha256:{identity.certificate_sha256}", f"CN={identity.common_name}"}
    return not peer.certificates or bool(shown.intersection(peer.certificates))


def _is_user(peer: Peer, identity: Identity) -> bool:
    if peer.user is None:
        return True
    if identity.user != peer.user:
        return False
    # in constant time: how much of a guess was right must not show
    return peer.passcode is None or hmac.compare_digest(peer.passcode.encode(), (identity.passcode or "").encode())


def room_for(settings: ListenerSettings, open_from: Iterable[Address], address: Address) -> bool:
    """Whether one more connection from ``address`` fits the limits, given where the open ones come from."""
    count = Counter(open_from)
    return count.total() < settings.max_associations and count[address] < settings.max_associations_per_address


def _at_home(hosts: tuple[str, ...], address: Address) -> bool:
    return not hosts or any(address in ipaddress.ip_network(host, strict=False) for host in hosts)
