"""Methods of pynetdicom in, digests of their source out; and the digests of the version that the fast path was written
for.

After the fast path was adapted to another version: ``python -m tests.listener.receiving.pynetdicom_digests`` prints the
new table.
"""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Iterable, Mapping
from importlib import import_module

VERSION = "3.0.4"

REPLACED = {
    "association.Association._run_reactor": "f28838c5559e462a",
    "transport.AssociationSocket.ready": "3eb58e3d39dc076d",
    "transport.AssociationSocket.recv": "6bc20a33b1b7cfe7",
    "transport.RequestHandler._create_association": "05c8d12b79863cdb",
}
"""The fast path does the work of these itself."""

EXTENDED = {
    "association.Association.__init__": "eb07516b8009ad8f",
    "association.Association.kill": "8f9713666a7f4cff",
    "association.Association.run_reactor": "ed8bbbe3b3d6ddae",
    "association.Association.set_socket": "235681dc751728fb",
    "dul.DULServiceProvider.__init__": "c82dafa9438ddf70",
    "dul.DULServiceProvider._decode_pdu": "fc71dd1bf853e1ce",
    "dul.DULServiceProvider._read_pdu_data": "19f2d4e38c13c835",
    "dul.DULServiceProvider.run_reactor": "e3a10eb3a0931e48",
    "dul.DULServiceProvider.stop_dul": "28a7e0be126e7b30",
    "transport.AssociationSocket.__init__": "1f0325fdef2cc353",
    "transport.AssociationSocket.close": "c726c8db53813d55",
}
"""It does something before or after these."""

RELIED_ON = {
    "association.Association._abort_blocking": "10b43ef8c63c6764",
    "association.Association._serve_request": "2f24c1759cdf6c8c",
    "association.Association.abort": "de1cee39dfe396b0",
    "dimse.DIMSEServiceProvider.__init__": "bbecd186810e7700",
    "dimse.DIMSEServiceProvider.get_msg": "890e3e04283f5aeb",
    "dimse.DIMSEServiceProvider.receive_primitive": "5f99c86b14a15cef",
    "dimse_messages.DIMSEMessage.decode_msg": "f51c777e841a76be",
    "dul.DULServiceProvider._is_transport_event": "8725ed03bb8fbdef",
    "dul.DULServiceProvider._process_recv_primitive": "4c0ebbb3e646e35e",
    "dul.DULServiceProvider.idle_timer_expired": "0150c19fda68f6e9",
    "dul.DULServiceProvider.receive_pdu": "fa67339834ca998c",
    "fsm.StateMachine.do_action": "9a883f44c7f31641",
    "transport.AssociationServer.__init__": "edacb98bdfb7b974",
    "transport.AssociationServer.bind": "c174a2d70c883a43",
    "transport.AssociationSocket.event_queue": "dfb0e894161db1ed",
    "transport.AssociationSocket.send": "1ea8158c0b51faca",
    "transport.RequestHandler.handle": "034823fb4df3a874",
}
"""It calls these, or they call it: it counts on their order of steps."""

TABLES = {"replaced": REPLACED, "extended": EXTENDED, "relied on": RELIED_ON}


def digest_of(name: str) -> str:
    """Of the source of a method or property, e.g. ``dul.DULServiceProvider.stop_dul``; empty when it is gone."""
    module, kind, member = name.split(".")
    found = vars(getattr(import_module(f"pynetdicom.{module}"), kind)).get(member)
    if isinstance(found, property):
        found = found.fget
    return hashlib.sha256(inspect.getsource(found).encode()).hexdigest()[:16] if found is not None else ""


def changed(tables: Mapping[str, Mapping[str, str]]) -> list[str]:
    """What differs, in words."""
    return [
        f"pynetdicom.{name} ({how}) {'has changed' if digest_of(name) else 'is gone'}"
        for how, table in tables.items()
        for name, recorded in table.items()
        if digest_of(name) != recorded
    ]


def table_of(names: Iterable[str]) -> str:
    """As Python source."""
    return "{\n" + "".join(f'    "{name}": "{digest_of(name)}",\n' for name in names) + "}\n"


if __name__ == "__main__":
    for how, table in TABLES.items():
        sys.stdout.write(f"# {how}\n{table_of(table)}")
