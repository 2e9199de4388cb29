"""The priors section of config.yaml as frozen values: archives that are asked for a missing baseline."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from workers.sections import AeTitle, ClientTlsSettings, DicomTarget, Positive, Section

LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")


class PatientIdRule(Section):
    """How an archive writes patient IDs that this node knows otherwise."""

    # issuer of the patient IDs that it is about, as the images here state it; null: any
    issuer: str | None = None
    # beginning of the patient ID here that the archive leaves out; IDs without it are not concerned
    strip: str = ""
    # beginning that the archive puts before it
    prefix: str = ""
    # issuer that the archive states for such IDs; null: not compared
    archive_issuer: str | None = None


class PriorSource(Section):
    """One archive that may hold earlier studies."""

    # its name in results, in the log and in messages
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,32}$")]
    # how images are taken: get (C-GET), move (C-MOVE to this node; list the archive under listener.peers) or web
    # (DICOMweb)
    retrieve: Literal["get", "move", "web"] = "get"
    # AE title of the archive; for get and move
    ae_title: AeTitle | None = None
    # its host name or address; for get and move
    host: str | None = None
    # its DICOM port; for get and move
    port: Annotated[int, Field(ge=1, le=65535)] = 104
    # base address of DICOMweb, e.g. https://pacs.hospital/dicom-web; beyond this machine only https; for web
    url: str | None = None
    # file with the bearer token; null: none is sent; for web
    token_file: Path | None = None
    # TLS settings for the call; null: no TLS (for web: the CA certificates of the system)
    tls: ClientTlsSettings | None = None
    # issuer of the patient ID in this archive -> the same issuer in the images that the node receives, e.g.
    # {HOSPITAL_A: HOSP}
    issuers: dict[str, str] = Field(default_factory=dict)
    # how it writes patient IDs, e.g. [{issuer: HOSP, strip: "H-", prefix: "00", archive_issuer: REGION}]; the first
    # that fits counts; empty: as here
    patient_ids: tuple[PatientIdRule, ...] = ()

    @model_validator(mode="after")
    def _has_an_address(self) -> Self:
        if self.retrieve != "web":
            if self.ae_title is None or self.host is None:
                raise ValueError(f"{self.name}: ae_title and host are needed for retrieve: {self.retrieve}")
            return self
        parts = urlsplit(self.url or "")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
            raise ValueError(f"{self.name}: url is needed for retrieve: web, without user and password")
        if parts.scheme == "http" and parts.hostname not in LOOPBACK_NAMES:
            raise ValueError(f"{self.name}: beyond this machine only https is accepted: the answers name patients")
        return self

    @property
    def target(self) -> DicomTarget:
        """The DICOM node of get and move."""
        return DicomTarget(ae_title=self.ae_title or "", host=self.host or "", port=self.port, tls=self.tls)


class PriorsSettings(Section):
    """Where a follow-up without a baseline looks for one. The first look does not wait for it."""

    # archives in the order in which they are asked, e.g. [{name: PACS, ae_title: PACS, host: 10.1.2.3, port: 104}];
    # empty: none
    sources: tuple[PriorSource, ...] = ()
    # also ask for studies without a known infusion date
    without_infusion: bool = True
    # earlier studies that are retrieved at most for one follow-up, the nearest before the infusion first
    max_studies: Annotated[int, Field(ge=1, le=20)] = 2
    # bytes that are retrieved at most for one earlier study
    max_study_bytes: Annotated[int, Field(ge=1)] = 4 << 30
    # time for one attempt at one archive
    time_limit_s: Positive = 900.0
    # an archive that sends nothing for this long is given up for this attempt
    silence_limit_s: Positive = 60.0
    # pause after an attempt that failed; it doubles up to an hour
    retry_s: Positive = 30.0
    # attempts at one archive for one follow-up
    max_attempts: Annotated[int, Field(ge=1, le=100)] = 12
    # pause between two looks for follow-ups without a baseline
    look_every_s: Positive = 2.0

    @model_validator(mode="after")
    def _names_are_different(self) -> Self:
        names = [one.name for one in self.sources]
        if len(set(names)) < len(names):
            raise ValueError("sources: two archives have the same name")
        return self

    @property
    def wanted(self) -> bool:
        """Whether anything is configured that needs a process."""
        return bool(self.sources)
