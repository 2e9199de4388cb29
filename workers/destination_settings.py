"""What the settings of every destination have in common, whatever its kind."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, field_validator, model_validator

from workers.output_kinds import DICOM_KINDS, KINDS
from workers.sections import ClientTlsSettings, DicomTarget, Positive, Section

LOOPBACK = ("localhost", "127.0.0.1", "::1")

# The other retractions are planned when there is something to take back.
ASKED_FOR = (*(kind.name for kind in KINDS if not kind.says_wrong or kind.name == "retract"), "images")
IN_DICOM = tuple(name for name in ASKED_FOR if name in DICOM_KINDS or name == "images")
# kind of destination that alerts somebody -> the output that does
ALERT_OF = {"mllp": "oru", "fhir": "fhir", "webhook": "webhook", "mail": "mail", "ups": "ups", "ups_rs": "ups"}
# kind of destination -> what can be sent to it; settings and rules ask here
OUTPUTS_OF = {
    "dicom": IN_DICOM,
    "stow": IN_DICOM,
    "folder": ASKED_FOR,
    "s3": ASKED_FOR,
    **{kind: (output,) for kind, output in ALERT_OF.items()},
}


def _known(kind: str) -> str:
    if kind not in ASKED_FOR:
        raise ValueError(f"{kind} is no output; there are {', '.join(ASKED_FOR)}")
    return kind


def cannot_take(kind: str, output: str) -> str:
    """Why an output cannot be sent to a kind of destination, in words; empty: it can."""
    return "" if output in OUTPUTS_OF[kind] else f"{kind} takes no {output}; it takes {', '.join(OUTPUTS_OF[kind])}"


def cannot_send(kind: str, output: str) -> str:
    """The same for whatever stands in a row, also what takes something back: a destination may have had another kind
    when it was planned."""
    if output == "outdated":
        return cannot_take(kind, "retract")
    return cannot_take(kind, output if output == "retract" else output.removeprefix("retract_"))


class DestinationSettings(Section):
    """Somebody who gets results."""

    # name of the destination in rows, lists and commands: letters, digits, "_" and "-"
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$")]
    # what it gets, by kinds of outputs, e.g. [sr, seg, sc]
    outputs: Annotated[tuple[Annotated[str, AfterValidator(_known)], ...], Field(min_length=1)]
    # both: the first look and the full assessment, each as soon as it is decided; full: the full assessment only
    stages: Literal["both", "full"] = "both"
    # everything is computed and listed for this destination and nothing is sent, until it is promoted
    # (icansee deliveries promote)
    shadow: bool = False
    # only P1, and only when nobody has acknowledged the study this long after the first decision with that priority
    # (icansee deliveries acknowledge); null: it gets every decision at once
    escalate_after_s: Positive | None = None
    # a connection that says nothing for this long is given up
    timeout_s: Positive = 30.0

    @field_validator("outputs", check_fields=False)
    @classmethod
    def _fit_its_kind(cls, outputs: tuple[str, ...]) -> tuple[str, ...]:
        for kind in get_args(cls.model_fields["kind"].annotation) if "kind" in cls.model_fields else ():
            for one in outputs:
                if not_taken := cannot_take(kind, one):
                    raise ValueError(not_taken)
        return outputs

    @property
    def never_passed_on(self) -> tuple[str, ...]:
        """Files of the evidence whose content this destination leaves out: nothing waits for them."""
        return ()


class IdentifiedDicomTarget(DicomTarget):
    """A DICOM node that may ask who we are."""

    # user name in the association request; null: none
    user: str | None = None
    # passcode that goes with the user name; only sent with TLS or on this machine
    passcode: str | None = None

    @model_validator(mode="after")
    def _passcode_is_protected(self) -> Self:
        if self.passcode is not None and self.user is None:
            raise ValueError("passcode needs a user")
        if self.passcode is not None and self.tls is None and self.host not in LOOPBACK:
            raise ValueError("passcode needs tls: it would go over the network in clear")
        return self


class OAuthSettings(Section):
    """OAuth 2.0 client credentials: how the bearer token of a request is got."""

    # address of the token end point, e.g. https://login.hospital/oauth2/token; beyond this machine only https
    token_url: str
    # our client ID
    client_id: str
    # file with our client secret
    client_secret_file: Path
    # scope that is asked for; null: none
    scope: str | None = None

    @field_validator("token_url")
    @classmethod
    def _never_in_clear(cls, url: str) -> str:
        return never_in_clear(url)


class HttpTarget(Section):
    """An HTTP server that we call."""

    # base address, e.g. https://pacs.hospital/dicom-web; beyond this machine only https
    url: str
    # CA and our certificate, {ca: ca.pem, certificate: ours.pem, private_key: ours.key}; null: the CAs of the machine
    # and no certificate of ours
    tls: ClientTlsSettings | None = None
    # OAuth 2.0 client credentials, {token_url: .., client_id: .., client_secret_file: ..}; null: no token of this kind
    oauth: OAuthSettings | None = None
    # file with a bearer token; null: none
    token_file: Path | None = None

    @field_validator("url")
    @classmethod
    def _never_in_clear(cls, url: str) -> str:
        return never_in_clear(url)


def never_in_clear(url: str) -> str:
    """The address.

    Raises:
        ValueError: it is none, it holds a password, or it would carry results over the network in clear.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
        raise ValueError("an address such as https://pacs.hospital/dicom-web is expected, without user and password")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ValueError("beyond this machine only https is accepted: results name patients")
    return url
