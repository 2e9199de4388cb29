"""Settings in, what every destination and every system that is asked answers out: `icansee config check --connect`."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from functools import partial

import httpx
import typer
from rich.markup import escape

from listener.commands.common import BUG, out, quiet_logging
from listener.commands.connect_asked import asked_peers
from triage.errors import Misconfigured, Transient
from workers.config import Settings
from workers.deliveries.all import open_destinations
from workers.deliveries.errors import DeliveryError
from workers.deliveries.to_dicom import DicomSender
from workers.deliveries.to_s3 import S3Sender
from workers.deliveries.to_ups import UpsSender
from workers.destination_settings import DestinationSettings, HttpTarget
from workers.log import brief
from workers.remote import tls
from workers.remote.http import client_of
from workers.result_settings import FolderDestinationSettings
from workers.sections import ClientTlsSettings


def check_peers(settings: Settings) -> None:
    """Call every destination, and every system that the node asks, and print what they say.

    Raises:
        typer.Exit: one cannot be reached, or refuses a kind of object; exit code 1.
    """
    quiet_logging()
    wanted = settings.results
    if wanted.rules is not None:
        from workers.rules.site import rules_of, with_outputs_of_rules

        wanted = with_outputs_of_rules(wanted, rules_of(wanted))
    opened = open_destinations(settings.node().model_copy(update={"results": wanted}))
    calls: list[tuple[str, Callable[[], list[str]]]] = [
        (one.name, partial(_called, one, opened[one.name])) for one in wanted.destinations
    ]
    calls += asked_peers(settings)
    bad = sum([_is_bad(name, call) for name, call in calls])
    if not settings.results.destinations:
        out().print("results.destinations: none")
    if bad:
        raise typer.Exit(BUG)


def _is_bad(name: str, call: Callable[[], list[str]]) -> bool:
    """Call, and print what came."""
    try:
        said = call()
    except (DeliveryError, Transient, Misconfigured, OSError, ValueError, httpx.HTTPError) as error:
        said = [f"NOT REACHED: {error if isinstance(error, DeliveryError | Transient) else brief(error)}"]
    for text in said:
        out().print(f"{escape(name):20} {escape(text)}")
    return any("REFUSES" in text or "NOT REACHED" in text for text in said)


def _called(one: DestinationSettings, sender: object) -> list[str]:
    if isinstance(sender, DicomSender | S3Sender | UpsSender):
        return sender.probe()
    if isinstance(one, HttpTarget):
        return _http(one, one.timeout_s)
    if isinstance(one, FolderDestinationSettings):
        return ["the folder is there" if one.path.is_dir() else "NOT REACHED: the folder does not exist"]
    host, port = getattr(one, "host", None), getattr(one, "port", None)
    if host is not None and port is not None:
        return _tcp(host, port, getattr(one, "tls", None), one.timeout_s)
    return ["cannot be asked without sending"]


def _http(target: HttpTarget, timeout_s: float) -> list[str]:
    with client_of(target, timeout_s=timeout_s) as client:
        answer = client.options(target.url)
    text = f"OPTIONS {answer.status_code}"
    if answer.status_code in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        return [f"REFUSES us: {text}"]
    if answer.is_server_error and answer.status_code != httpx.codes.NOT_IMPLEMENTED:
        return [f"NOT REACHED: {text}"]
    return [f"{text}: it is not known whether it takes results" if answer.is_client_error else text]


def _tcp(host: str, port: int, secured: ClientTlsSettings | None, timeout_s: float) -> list[str]:
    with socket.create_connection((host, port), timeout_s) as plain:
        if secured is None:
            return ["TCP connection accepted"]
        context: ssl.SSLContext = tls.client_context(secured)
        with context.wrap_socket(plain, server_hostname=host) as wrapped:
            return [f"{wrapped.version()} connection accepted"]
