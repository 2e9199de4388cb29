"""DICOM services other than C-STORE and C-ECHO: their SOP classes, and the handlers that serve them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from workers.dicom_status import NO_SUCH_CLASS


@dataclass(frozen=True)
class Service:
    """One service in the role of the SCP.

    classes: SOP classes to accept in uncompressed transfer syntaxes. handlers: pynetdicom's (event, handler) pairs.
    """

    classes: tuple[str, ...]
    handlers: tuple[tuple[Any, Any], ...]


@dataclass(frozen=True)
class Services:
    """What a receiver offers. Two services may listen to one event: each handler sees only its own classes."""

    classes: frozenset[str] = frozenset()
    handlers: tuple[tuple[Any, Any], ...] = ()


def combine(services: Iterable[Service]) -> Services:
    """One handler per event, which passes the request on to the service whose SOP class it names."""
    by_event: dict[Any, dict[str, Any]] = {}
    classes: set[str] = set()
    for service in services:
        classes |= set(service.classes)
        for event, handler in service.handlers:
            by_event.setdefault(event, {}).update(dict.fromkeys(service.classes, handler))
    return Services(frozenset(classes), tuple((event, _switch(found)) for event, found in by_event.items()))


def _switch(handlers: dict[str, Any]) -> Any:
    def handle(event: Any) -> Any:
        request = event.request
        uid = getattr(request, "AffectedSOPClassUID", None) or getattr(request, "RequestedSOPClassUID", None)
        handler = handlers.get(str(uid))
        return (NO_SUCH_CLASS, None) if handler is None else handler(event)

    return handle
