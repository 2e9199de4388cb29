"""Settings of the destinations that get alerts: HL7, FHIR, webhook, mail and UPS."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from workers.destination_settings import LOOPBACK, DestinationSettings, HttpTarget, IdentifiedDicomTarget
from workers.sections import ClientTlsSettings

ADDRESS = r"^[A-Za-z0-9._+-]{1,64}@[A-Za-z0-9.-]{1,190}$"
NAME_IN_HL7 = r"^[A-Za-z0-9 _.-]{0,64}$"


class AlertDestinationSettings(DestinationSettings):
    """Somebody who is told of decisions, a person in the end."""

    # most alerts within 24 hours; what exceeds it is held back and listed (icansee deliveries list --state held) until
    # a person releases it; P1 always goes; null: no limit
    daily_budget: Annotated[int, Field(ge=0)] | None = None


class MllpDestinationSettings(AlertDestinationSettings):
    """An HL7 v2 receiver (RIS, interface engine) that gets ORU^R01 over MLLP."""

    # an HL7 v2 receiver (RIS, interface engine) that gets ORU^R01 over MLLP
    kind: Literal["mllp"]
    # what it gets
    outputs: Annotated[tuple[Literal["oru"], ...], Field(min_length=1)] = ("oru",)
    # its host name or address
    host: str
    # its MLLP port
    port: Annotated[int, Field(ge=1, le=65535)]
    # TLS settings for the call; null: no TLS
    tls: ClientTlsSettings | None = None
    # MSH-3 of our messages
    sending_application: Annotated[str, Field(pattern=NAME_IN_HL7)] = "ICANSEE"
    # MSH-4 of our messages
    sending_facility: Annotated[str, Field(pattern=NAME_IN_HL7)] = ""
    # MSH-5 of our messages
    receiving_application: Annotated[str, Field(pattern=NAME_IN_HL7)] = ""
    # MSH-6 of our messages
    receiving_facility: Annotated[str, Field(pattern=NAME_IN_HL7)] = ""
    # the evidence picture: none, a reference to picture_url (RP), or the picture itself (ED)
    picture: Literal["none", "reference", "embedded"] = "none"
    # address of the picture or of the page of the study; {study} stands for the Study Instance UID
    picture_url: str | None = None
    # after this many answers AE (application error) a message is listed as dead; AR ends it at once
    tries_after_ae: Annotated[int, Field(ge=1)] = 3

    @model_validator(mode="after")
    def _reference_has_an_address(self) -> Self:
        if self.picture == "reference" and not self.picture_url:
            raise ValueError("picture: reference needs picture_url")
        return self

    @property
    def never_passed_on(self) -> tuple[str, ...]:
        return () if self.picture == "embedded" else ("evidence.png",)


class WebhookDestinationSettings(HttpTarget, AlertDestinationSettings):
    """A program of the site that gets signed JSON by HTTP POST (docs/integration.md)."""

    # a program of the site that gets signed JSON by HTTP POST
    kind: Literal["webhook"]
    # what it gets
    outputs: Annotated[tuple[Literal["webhook"], ...], Field(min_length=1)] = ("webhook",)
    # file with the key that signs, 32 characters or more
    key_file: Path
    # file with the key of before, which signs as well while receivers change theirs; null: none
    former_key_file: Path | None = None


class FhirDestinationSettings(HttpTarget, AlertDestinationSettings):
    """A FHIR R4 server that gets a preliminary report, its observations and a task."""

    # a FHIR R4 server that gets a preliminary report, its observations and a task
    kind: Literal["fhir"]
    # what it gets
    outputs: Annotated[tuple[Literal["fhir"], ...], Field(min_length=1)] = ("fhir",)
    # one transaction bundle; false: resource by resource, each created under a condition
    transaction: bool = True


class MailDestinationSettings(AlertDestinationSettings):
    """A mail server that takes alerts for people (SMTP, STARTTLS)."""

    # a mail server that takes alerts for people (SMTP, STARTTLS)
    kind: Literal["mail"]
    # what it gets
    outputs: Annotated[tuple[Literal["mail"], ...], Field(min_length=1)] = ("mail",)
    # host name or address of the mail server
    host: str
    # its port
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    # CA and our certificate for STARTTLS; null: no encryption, on this machine only
    tls: ClientTlsSettings | None = None
    # user name at the mail server; null: none
    user: str | None = None
    # file with the password that goes with the user name; null: none
    password_file: Path | None = None
    # address of the sender
    sender: Annotated[str, Field(pattern=ADDRESS)]
    # addresses of the recipients
    recipients: Annotated[tuple[Annotated[str, Field(pattern=ADDRESS)], ...], Field(min_length=1)]
    # what a mail may say of the patient and the study beside the finding; [] names neither
    include: tuple[Literal["accession_number", "study_instance_uid", "patient_id", "patient_name"], ...] = ()
    # a mail may state the dates of the studies and the day after the infusion
    study_dates: bool = False

    @model_validator(mode="after")
    def _never_in_clear(self) -> Self:
        if self.tls is None and self.host not in LOOPBACK:
            raise ValueError("beyond this machine a mail server needs tls: results would go over the network in clear")
        if (self.user is None) != (self.password_file is None):
            raise ValueError("user and password_file need each other")
        return self


class UpsDestinationSettings(IdentifiedDicomTarget, AlertDestinationSettings):
    """A worklist of unified procedure steps that takes workitems over DICOM (UPS Push, N-CREATE)."""

    # a worklist of unified procedure steps that takes workitems over DICOM (UPS Push, N-CREATE)
    kind: Literal["ups"]
    # what it gets
    outputs: Annotated[tuple[Literal["ups"], ...], Field(min_length=1)] = ("ups",)


class UpsRsDestinationSettings(HttpTarget, AlertDestinationSettings):
    """A DICOMweb worklist that takes workitems (UPS-RS)."""

    # a DICOMweb worklist that takes workitems (UPS-RS)
    kind: Literal["ups_rs"]
    # what it gets
    outputs: Annotated[tuple[Literal["ups"], ...], Field(min_length=1)] = ("ups",)


AlertKind = (
    MllpDestinationSettings
    | WebhookDestinationSettings
    | FhirDestinationSettings
    | MailDestinationSettings
    | UpsDestinationSettings
    | UpsRsDestinationSettings
)
