"""What several sections of config.yaml have in common."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated
from urllib.parse import SplitResult, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator

AeTitle = Annotated[str, Field(pattern=r"^[\x21-\x5B\x5D-\x7E](?:[\x20-\x5B\x5D-\x7E]{0,14}[\x21-\x5B\x5D-\x7E])?$")]


Port = Annotated[int, Field(ge=0, le=65535)]


Positive = Annotated[float, Field(gt=0)]


# What a person may have meant; the clock, and waiting for a thread, take no more than some hundred years.
MOST = {"_s": 3_153_600_000, "_min": 52_560_000, "_days": 36_500}  # a hundred years
LARGEST = 2**63 - 1


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @field_validator("*", mode="after")
    @classmethod
    def _within_reason(cls, value: object, info: ValidationInfo) -> object:
        if isinstance(value, str | Path) and "\0" in str(value):
            raise ValueError("holds a NUL character")
        if not isinstance(value, int | float) or isinstance(value, bool):
            return value
        for ending, most in MOST.items():
            if (info.field_name or "").endswith(ending) and value > most:
                raise ValueError(f"at most {most}, which is a hundred years")
        if value > LARGEST:
            raise ValueError(f"at most {LARGEST}")
        return value


def refuse_other_urls(text: str, kinds: tuple[str, ...]) -> SplitResult:
    """The parts of a URL. The messages do not repeat it: it may hold a password.

    Raises:
        ValueError: it is of none of these kinds, or its port is no number.
    """
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError as error:
        port = "port" in str(error).lower()
        raise ValueError("its port is no number up to 65535" if port else "its host cannot be read") from None
    if parts.scheme not in kinds:
        raise ValueError(f"a URL that begins with {', '.join(f'{kind}://' for kind in kinds)} is wanted")
    return parts


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
