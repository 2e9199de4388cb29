"""pynetdicom as installed in, what the fast receive path would miss in it out.

The path leans on underscore names of pynetdicom 3.0, which may change without notice. They are looked for at every
start; when one is gone the stock path is used. A test compares the names here with those in the source, another one
compares the methods with digests of the version that the path was written for."""

from __future__ import annotations

from pynetdicom import AE
from pynetdicom._globals import MODE_ACCEPTOR
from pynetdicom.association import Association
from pynetdicom.dimse import DIMSEServiceProvider
from pynetdicom.dul import DULServiceProvider
from pynetdicom.transport import AssociationServer, AssociationSocket, RequestHandler

OF_CLASSES: dict[type, tuple[str, ...]] = {
    Association: ("_run_reactor", "_serve_request", "_abort_blocking", "kill", "abort", "set_socket", "run_reactor"),
    DULServiceProvider: (
        "_read_pdu_data",
        "_decode_pdu",
        "stop_dul",
        "run_reactor",
        "idle_timer_expired",
        "receive_pdu",
        "peek_next_pdu",
    ),
    DIMSEServiceProvider: ("get_msg",),
    AssociationSocket: ("ready", "recv", "close", "event_queue"),
    RequestHandler: ("_create_association", "handle", "local", "remote"),
}
"""Methods and properties."""

SET_AT_CONSTRUCTION: dict[type, tuple[str, ...]] = {
    AssociationSocket: ("_is_connected", "socket"),
    AssociationServer: ("_handlers",),
}
"""Attributes of objects that cannot be made without a connection: their constructors must name them."""

OF_ASSOCIATIONS = ("_kill", "_is_paused", "_reactor_checkpoint", "_accepted_cx", "_server", "dul", "dimse", "acse")
OF_DULS = (
    "_recv_pdu",
    "_idle_timer",
    "_run_loop_delay",
    "_kill_thread",
    "event_queue",
    "to_user_queue",
    "to_provider_queue",
    "state_machine",
    "socket",
)
OF_DIMSE = ("msg_queue", "message")


def missing_names() -> list[str]:
    """Names that the fast path needs and that are not there; empty when it can be used."""
    missing = [
        f"{kind.__name__}.{name}" for kind, names in OF_CLASSES.items() for name in names if not hasattr(kind, name)
    ]
    missing += [
        f"{kind.__name__}().{name}"
        for kind, names in SET_AT_CONSTRUCTION.items()
        for name in names
        if name not in _named_by_constructor(kind)
    ]
    association = Association(AE(), MODE_ACCEPTOR)
    for one, names in ((association, OF_ASSOCIATIONS), (association.dul, OF_DULS), (association.dimse, OF_DIMSE)):
        missing += [f"{type(one).__name__}().{name}" for name in names if not hasattr(one, name)]
    return missing


def _named_by_constructor(kind: type) -> tuple[str, ...]:
    code = getattr(vars(kind).get("__init__"), "__code__", None)
    return () if code is None else tuple(code.co_names)


def underscore_names() -> set[str]:
    """The private ones among the names that are looked for."""
    groups = [*OF_CLASSES.values(), *SET_AT_CONSTRUCTION.values(), OF_ASSOCIATIONS, OF_DULS, OF_DIMSE]
    return {name for names in groups for name in names if name.startswith("_")}
