"""Who may talk to the node, as tables."""

from __future__ import annotations

import os
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest

from listener.associations import admission
from listener.associations.admission import (
    NOBODY,
    TOO_MANY,
    UNKNOWN_ADDRESS,
    UNKNOWN_CALLED_AE,
    UNKNOWN_CALLING_AE,
    UNKNOWN_CERTIFICATE,
    UNKNOWN_USER,
    Identity,
    Refusal,
)
from listener.associations.places import take_place
from triage.errors import Misconfigured
from workers.config import parse
from workers.settings import ListenerSettings

HOME, AWAY, LOOPBACK = "10.1.2.3", "192.168.7.7", "127.0.0.1"
LISTED: dict[str, Any] = {
    "host": "0.0.0.0",  # noqa: S104 - nothing is bound here
    "peers": [{"ae_title": "MR1", "hosts": ["10.1.0.0/16"]}, {"ae_title": "ANYWHERE"}],
}


@pytest.mark.parametrize(
    ("listener", "address", "titles", "refusal"),
    [
        pytest.param({}, LOOPBACK, ("X", "ICANSEE"), None, id="noop: loopback needs no list"),
        pytest.param({"host": "localhost"}, "::1", ("X", "ICANSEE"), None, id="loopback of IPv6"),
        pytest.param({}, LOOPBACK, ("X", "OTHER"), UNKNOWN_CALLED_AE, id="called by another name"),
        pytest.param({}, LOOPBACK, ("X", "icansee"), UNKNOWN_CALLED_AE, id="AE titles have case"),
        pytest.param({"host": "0.0.0.0"}, LOOPBACK, ("X", "ICANSEE"), UNKNOWN_ADDRESS, id="open port, no list: nobody"),  # noqa: S104
        pytest.param({"host": "0.0.0.0"}, HOME, ("X", "ICANSEE"), UNKNOWN_ADDRESS, id="open port, no list: no"),  # noqa: S104
        pytest.param(LISTED, HOME, ("MR1", "ICANSEE"), None, id="listed, at home"),
        pytest.param(LISTED, "::ffff:10.1.2.3", ("MR1", "ICANSEE"), None, id="listed, through an IPv6 socket"),
        pytest.param(LISTED, AWAY, ("MR1", "ICANSEE"), UNKNOWN_CALLING_AE, id="listed, but elsewhere"),
        pytest.param(LISTED, AWAY, ("ANYWHERE", "ICANSEE"), None, id="listed for every address"),
        pytest.param(LISTED, HOME, ("MR2", "ICANSEE"), UNKNOWN_CALLING_AE, id="not listed"),
        pytest.param(LISTED, HOME, ("", "ICANSEE"), UNKNOWN_CALLING_AE, id="no name"),
        pytest.param(
            {"peers": [{"ae_title": "MR1", "hosts": ["10.1.2.3"]}]},
            AWAY,
            ("MR1", "ICANSEE"),
            UNKNOWN_ADDRESS,
            id="an address nobody has",
        ),
    ],
)
def test_check(listener: dict[str, Any], address: str, titles: tuple[str, str], refusal: Refusal | None) -> None:
    settings = parse({"listener": listener}).listener
    calling, called = titles
    found = admission.check(settings, address=admission.parse_address(address), calling_ae=calling, called_ae=called)
    assert found == refusal


@pytest.mark.parametrize(
    ("open_from", "room"),
    [
        pytest.param([], True, id="noop: nobody is there"),
        pytest.param([HOME] * 2, True, id="one below its limit"),
        pytest.param([HOME] * 3, False, id="this address is full"),
        pytest.param([AWAY] * 4, True, id="another address is full"),
        pytest.param([AWAY] * 3 + [HOME] * 2, False, id="the node is full"),
    ],
)
def test_room(open_from: list[str], room: bool) -> None:
    settings = ListenerSettings(max_associations=5, max_associations_per_address=3)
    assert admission.room_for(settings, map(ip_address, open_from), ip_address(HOME)) is room


def test_refusals_use_codes_of_the_standard() -> None:
    codes = {(one.result, one.source, one.diagnostic) for one in (UNKNOWN_CALLED_AE, UNKNOWN_CALLING_AE, TOO_MANY)}
    assert codes == {(1, 1, 7), (1, 1, 3), (2, 3, 2)}  # PS3.8 section 9.3.4


@pytest.mark.parametrize("host", ["10.0.0.0/99", "mr1.hospital", "10.0.0"])
def test_addresses_that_are_none_are_refused_by_name(host: str) -> None:
    with pytest.raises(Misconfigured, match=r"listener\.peers\.0\.hosts"):
        parse({"listener": {"peers": [{"ae_title": "MR1", "hosts": [host]}]}})


def test_unknown_keys_of_an_optional_section_are_refused_with_the_known_ones() -> None:
    with pytest.raises(Misconfigured, match=r"tls\.cert: unknown key; accepted here: certificate, client_ca"):
        parse({"listener": {"tls": {"cert": "x"}}})


DIGEST = "ab" * 32
PROVEN: dict[str, Any] = {
    "tls": {"certificate": "a", "private_key": "b", "client_ca": "c"},
    "peers": [
        {"ae_title": "MR1", "certificates": [f"sha256:{DIGEST}", "CN=scanner"]},
        {"ae_title": "MR2", "user": "mr", "passcode": "secret"},
        {"ae_title": "MR3", "user": "mr"},
    ],
}


@pytest.mark.parametrize(
    ("calling", "identity", "refusal"),
    [
        pytest.param("MR1", Identity(DIGEST, "other"), None, id="noop: this very certificate"),
        pytest.param("MR1", Identity("cd" * 32, "scanner"), None, id="a certificate of this name"),
        pytest.param("MR1", Identity("cd" * 32, "other"), UNKNOWN_CERTIFICATE, id="another certificate"),
        pytest.param("MR1", NOBODY, UNKNOWN_CERTIFICATE, id="no certificate"),
        pytest.param("MR2", Identity(user="mr", passcode="secret"), None, id="user and passcode"),
        pytest.param("MR2", Identity(user="mr", passcode="Secret"), UNKNOWN_USER, id="wrong passcode"),
        pytest.param("MR2", Identity(user="mr"), UNKNOWN_USER, id="no passcode"),
        pytest.param("MR2", NOBODY, UNKNOWN_USER, id="no user"),
        pytest.param("MR3", Identity(user="mr"), None, id="a user without a passcode"),
        pytest.param("MR3", Identity(user="other"), UNKNOWN_USER, id="another user"),
        pytest.param("MR4", Identity(DIGEST), UNKNOWN_CALLING_AE, id="not listed at all"),
    ],
)
def test_what_a_peer_must_prove(calling: str, identity: Identity, refusal: Refusal | None) -> None:
    settings, address = parse({"listener": PROVEN}).listener, ip_address(HOME)
    found = admission.check(settings, address=address, calling_ae=calling, called_ae="ICANSEE", identity=identity)
    assert found == refusal
    peer = admission.peer_of(settings, address=address, calling_ae=calling, identity=identity)
    assert (peer is None) is (refusal is not None)


def test_certificates_without_tls_are_refused_by_name() -> None:
    with pytest.raises(Misconfigured, match=r"client_ca"):
        parse({"listener": {**PROVEN, "tls": None}})


def test_places(tmp_path: Path) -> None:
    held = [take_place(tmp_path, "MR1", 2) for _ in range(3)]
    assert [place is None for place in held] == [False, False, True]
    assert take_place(tmp_path, "../MR2", 1) is not None
    os.close(held[0] or 0)
    assert take_place(tmp_path, "MR1", 2) is not None
    assert len(list(tmp_path.iterdir())) == 3
