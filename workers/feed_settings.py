"""The feeds section of config.yaml as frozen values: clinical systems that say something about patients."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, field_validator

from workers.sections import DicomTarget, Port, Positive, Section, TlsSettings, networks_in

# the CD19 products that are licensed; a site adds its own trial products
CD19_PRODUCTS = ("tisagenlecleucel", "axicabtagene", "brexucabtagene", "lisocabtagene", "obecabtagene")


class Hl7FeedSettings(Section):
    """HL7 v2 messages of an interface engine over MLLP: patients' IDs, and orders of infusions."""

    # TCP port of the MLLP listener; 0 takes a free one; null: off
    port: Port | None = None
    # address to listen on; beyond loopback list the interface engines under peers
    host: str = "127.0.0.1"
    # addresses or networks that may connect, e.g. [10.1.2.3, 10.1.4.0/24]; this machine always may
    peers: tuple[str, ...] = ()
    # TLS 1.2 or newer at the port, {certificate: a.pem, private_key: b.pem, client_ca: c.pem}; null: no TLS
    tls: TlsSettings | None = None
    # codes of the orders that are a cell infusion, as the site's orders have them
    infusion_codes: tuple[str, ...] = ()
    # words in the text of such an order, in any case; a text about imaging is never an infusion
    infusion_words: tuple[str, ...] = CD19_PRODUCTS
    # an ORU with one of these in OBR-25 (HL7 table 0123) ends the escalation of its study, e.g. [F, C]; []: none does
    read_result_statuses: tuple[Annotated[str, Field(pattern=r"^[A-Z]$")], ...] = ("F", "C")
    # an order message (ORM, OMI) with one of these in ORC-5 (HL7 table 0038) does so as well, when the site sends it
    # as a reader opens or has read the study, e.g. [CM] or, with ORC-1, [SC/CM]; many sites send IP and CM at the
    # scanner: then leave it empty
    read_order_statuses: tuple[Annotated[str, Field(pattern=r"^([A-Z]{2}/)?[A-Z]{1,2}$")], ...] = ()

    @field_validator("peers")
    @classmethod
    def _networks(cls, peers: tuple[str, ...]) -> tuple[str, ...]:
        return networks_in(peers)


class FhirFeedSettings(Section):
    """A FHIR R4 server that is asked again and again for infusions: Procedure and MedicationAdministration."""

    # base address, e.g. https://ehr.hospital/fhir; beyond this machine only https; null: off
    url: str | None = None
    # pause between two questions
    every_s: Positive = 60.0
    # file with the bearer token; null: none is sent
    token_file: Path | None = None
    # codes of the procedures and medications that are a cell infusion
    codes: tuple[str, ...] = ()
    # words in their text, in any case; a text about imaging is never an infusion
    words: tuple[str, ...] = CD19_PRODUCTS
    # system of a patient identifier -> issuer of the patient ID as the images have it, e.g. {urn:oid:1.2.3: HOSP};
    # empty: the medical record number, without an issuer
    issuers: dict[str, str] = Field(default_factory=dict)

    @field_validator("url")
    @classmethod
    def _never_in_clear(cls, url: str | None) -> str | None:
        if url is None:
            return None
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username or parts.password:
            raise ValueError("an address such as https://ehr.hospital/fhir is expected, without user and password")
        if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
            raise ValueError("beyond this machine only https is accepted: the answers name patients")
        return url


class FeedsSettings(Section):
    """What clinical systems say about patients."""

    # HL7 v2 messages of an interface engine over MLLP: patients' IDs, and orders of infusions
    hl7: Hl7FeedSettings = Hl7FeedSettings()
    # a FHIR R4 server that is asked again and again for infusions: Procedure and MedicationAdministration
    fhir: FhirFeedSettings = FhirFeedSettings()

    # modality worklist that is asked (C-FIND) for the order of a study, {ae_title: RIS, host: 10.1.2.3, port: 104}; a
    # text such as "day 9 post CAR-T" is shown as a hint and never used as a date; null: none
    worklist: DicomTarget | None = None

    @property
    def wanted(self) -> bool:
        """Whether anything is configured that needs a process."""
        return self.hl7.port is not None or self.fhir.url is not None
