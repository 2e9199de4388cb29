"""What several sections of config.yaml have in common."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

AeTitle = Annotated[str, Field(pattern=r"^[\x21-\x5B\x5D-\x7E](?:[\x20-\x5B\x5D-\x7E]{0,14}[\x21-\x5B\x5D-\x7E])?$")]


Port = Annotated[int, Field(ge=0, le=65535)]


Positive = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def networks_in(texts: tuple[str, ...]) -> tuple[str, ...]:
    for text in texts:
        ipaddress.ip_network(text, strict=False)  # its ValueError names the text and what is wrong with it
    return texts


class TlsSettings(Section):
    """TLS at the DICOM port (BCP 195: 1.2 or newer, forward secrecy).

    Without client_ca no client certificate is asked.
    """

    # our certificate with its chain, PEM
    certificate: Path
    # private key of our certificate, PEM
    private_key: Path
    # CA certificates, PEM; a sender must show a certificate signed by one of them; null: none is asked for
    client_ca: Path | None = None


class ClientTlsSettings(Section):
    """TLS when we call somebody."""

    # CA certificates, PEM; the other side must show a certificate signed by one of them
    ca: Path
    # our certificate, PEM, for a server that asks for one
    certificate: Path | None = None
    # private key of our certificate, PEM
    private_key: Path | None = None
    # the certificate of the other side must name the host we call
    check_hostname: bool = True


class DicomTarget(Section):
    """A DICOM node that we call."""

    # AE title of the node we call
    ae_title: AeTitle
    # its host name or address
    host: str
    # its DICOM port
    port: Annotated[int, Field(ge=1, le=65535)] = 104
    # TLS settings for the call; null: no TLS
    tls: ClientTlsSettings | None = None
