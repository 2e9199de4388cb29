"""Host and port in, a socket that takes HTTP connections out."""

from __future__ import annotations

import socket

from triage.errors import Misconfigured

WAITING = 128  # connections that are not accepted yet


def http_port(host: str, port: int, *, section: str) -> socket.socket:
    """A bound socket for an HTTP server of asyncio.

    Args:
        port: 0: a free one.
        section: of the settings, for the message.

    Raises:
        Misconfigured: host and port cannot be bound.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only where this protocol is stated: without it the body of a small answer waits 40 ms for
    # the confirmation of its head
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(WAITING)
    except OSError as error:
        listening.close()
        raise Misconfigured(
            f"{section}.host/{section}.port: {host}:{port} cannot be used ({error.strerror})"
        ) from error
    return listening
