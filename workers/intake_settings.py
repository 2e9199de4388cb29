"""The stow section of config.yaml as frozen values: images over HTTP."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, field_validator, model_validator

from workers.sections import Port, Positive, Section, TlsSettings, networks_in

LOOPBACK_HOSTS = ("localhost", "127.0.0.1", "::1")


class StowSettings(Section):
    """STOW-RS (PS3.18 section 10.5) beside C-STORE, with the limits of the listener."""

    # TCP port of the HTTP listener; 0 takes a free one; null: off
    port: Port | None = None
    # address to listen on; beyond loopback list the senders under peers
    host: str = "127.0.0.1"
    # addresses or networks that may send, e.g. [10.1.2.3, 10.1.4.0/24]; this machine always may
    peers: tuple[str, ...] = ()
    # file with the bearer token that a sender must show; beyond loopback it needs tls; null: none is asked for
    token_file: Path | None = None
    # TLS 1.2 or newer at the port, {certificate: a.pem, private_key: b.pem, client_ca: c.pem}; null: no TLS
    tls: TlsSettings | None = None
    # requests at the same time; more are answered with 503
    max_requests: Annotated[int, Field(ge=1, le=1000)] = 16
    # objects of one request; the others are refused
    max_parts: Annotated[int, Field(ge=1, le=1_000_000)] = 20_000
    # a request that sends nothing for this long is ended
    silence_limit_s: Positive = 60.0

    @field_validator("peers")
    @classmethod
    def _networks(cls, peers: tuple[str, ...]) -> tuple[str, ...]:
        return networks_in(peers)

    @model_validator(mode="after")
    def _no_token_in_clear(self) -> Self:
        if self.token_file is not None and self.tls is None and self.host not in LOOPBACK_HOSTS:
            raise ValueError("token_file beyond this machine needs tls: whoever listens could use the token")
        return self
