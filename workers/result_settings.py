"""The results section of config.yaml as frozen values: who gets what of each decision.

A new kind of destination is one class here or in a file of its own, and its name in ``Kind``.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Annotated, Literal, Protocol, Self, TypeVar

from pydantic import Field, field_validator, model_validator

from workers.alert_settings import AlertKind
from workers.destination_settings import (
    OUTPUTS_OF,
    DestinationSettings,
    HttpTarget,
    IdentifiedDicomTarget,
    never_in_clear,
)
from workers.sections import AeTitle, Positive, Section

# kinds of destinations that images can be sent to, too
IMAGE_KINDS = tuple(kind for kind, outputs in OUTPUTS_OF.items() if "images" in outputs)


class _HasName(Protocol):
    @property
    def name(self) -> str: ...


Named = TypeVar("Named", bound=_HasName)


class DicomDestinationSettings(IdentifiedDicomTarget, DestinationSettings):
    """A DICOM node that stores results (C-STORE)."""

    # a DICOM node that stores results (C-STORE)
    kind: Literal["dicom"]
    # transfer syntaxes in the order in which they are offered: explicit or implicit, both little endian
    transfer_syntaxes: Annotated[tuple[Literal["explicit", "implicit"], ...], Field(min_length=1)] = (
        "explicit",
        "implicit",
    )
    # ask for storage commitment after sending; a delivery is done only when the node has committed itself
    commitment: bool = False
    # longest wait for the answer to a storage commitment request
    commitment_wait_s: Positive = 20.0


class StowDestinationSettings(HttpTarget, DestinationSettings):
    """A DICOMweb server that stores results (STOW-RS)."""

    # a DICOMweb server that stores results (STOW-RS)
    kind: Literal["stow"]


class FolderDestinationSettings(DestinationSettings):
    """A folder that gets results as files: STUDY_UID/r<revision>-<stage>/<file>."""

    # a folder that gets results as files
    kind: Literal["folder"]
    # the folder; it must exist, so that an unmounted share is noticed
    path: Path


class S3DestinationSettings(DestinationSettings):
    """A bucket of an S3 server that gets results as objects."""

    # a bucket of an S3 server that gets results as objects
    kind: Literal["s3"]
    # name of the bucket
    bucket: Annotated[str, Field(min_length=3)]
    # beginning of the names of all objects
    prefix: str = "icansee"
    # region of the bucket
    region: str = "us-east-1"
    # address of a server that is not Amazon's; beyond this machine only https; null: Amazon's
    endpoint: str | None = None
    # ID of the access key; null: as the environment says
    access_key_id: str | None = None
    # file with the secret access key; null: as the environment says
    secret_key_file: Path | None = None

    @field_validator("endpoint")
    @classmethod
    def _never_in_clear(cls, url: str | None) -> str | None:
        return None if url is None else never_in_clear(url)


Kind = Annotated[
    DicomDestinationSettings | StowDestinationSettings | FolderDestinationSettings | S3DestinationSettings | AlertKind,
    Field(discriminator="kind"),
]


class ScannerStage(Section):
    """A scanner, or all of an institution, whose decisions are in shadow mode. Everything that is stated must fit."""

    # name of it in reports and commands: letters, digits, "_" and "-"
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$")]
    # AE title that sends its images; null: any
    ae_title: AeTitle | None = None
    # Device Serial Number (0018,1000) of its images; null: any
    device_serial: str | None = None
    # Station Name (0008,1010); null: any
    station: str | None = None
    # Institution Name (0008,0080); null: any
    institution: str | None = None

    @model_validator(mode="after")
    def _something_is_stated(self) -> Self:
        if not any((self.ae_title, self.device_serial, self.station, self.institution)):
            raise ValueError("state one of ae_title, device_serial, station and institution")
        return self


class ResultsSettings(Section):
    """Who gets what of each decision."""

    # who gets results, e.g. [{name: pacs, kind: dicom, ae_title: PACS, host: 10.1.2.3, port: 104, outputs: [sr, sc]}];
    # the keys of each kind: results.destinations[] in docs/settings.md
    destinations: tuple[Kind, ...] = ()
    # file with rules that decide what goes where (docs/rules.md); null: each destination gets its own outputs
    rules: Path | None = None
    # everything is computed and listed and nothing is sent to anybody, until the site itself is promoted
    # (icansee deliveries promote --site)
    shadow: bool = False
    # scanners whose decisions are computed and listed and not sent, until each is promoted, e.g. [{name: mr2, station:
    # MR-RESEARCH}]; images go out all the same
    shadow_scanners: tuple[ScannerStage, ...] = ()
    # patterns, e.g. [B]; a decision that no other pattern carries is computed and listed and not sent, until the
    # pattern is promoted
    shadow_patterns: tuple[str, ...] = ()
    # rejection notes (IHE IOCM) for the DICOM objects of earlier decisions, all but the report, when a newer full
    # decision is sent: never; changed: when category, priority or a pattern differs; always
    retract_earlier: Literal["never", "changed", "always"] = "never"
    # a delivery that the other side did not take for this long is given up and listed as dead
    give_up_after_s: Positive = 259200.0
    # failures of a delivery while its destination takes others, before it is listed as dead; failures while the
    # destination is away do not count
    max_attempts: Annotated[int, Field(ge=1)] = 20
    # failures in a row after which a destination is left alone for a while
    failures_until_pause: Annotated[int, Field(ge=1)] = 5
    # first pause after a failure; it doubles up to longest_pause_s, and each is shortened by chance by up to a half
    first_pause_s: Positive = 2.0
    # longest pause between two attempts
    longest_pause_s: Positive = 300.0
    # a new destination gets the decisions of this long before it was first configured
    backfill_s: Annotated[float, Field(ge=0)] = 3600.0

    @field_validator("destinations", "shadow_scanners")
    @classmethod
    def _names_differ(cls, some: tuple[Named, ...]) -> tuple[Named, ...]:
        twice = [name for name, number in Counter(one.name for one in some).items() if number > 1]
        if twice:
            raise ValueError(f"the name {twice[0]} stands for two of them; each needs its own")
        return some
