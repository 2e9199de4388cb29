"""The feeds section of config.yaml as frozen values: clinical systems that say something about patients."""

from __future__ import annotations

from pydantic import field_validator

from workers.sections import Port, Section, TlsSettings, networks_in

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

    @field_validator("peers")
    @classmethod
    def _networks(cls, peers: tuple[str, ...]) -> tuple[str, ...]:
        return networks_in(peers)


class FeedsSettings(Section):
    """What clinical systems say about patients."""

    # HL7 v2 messages of an interface engine over MLLP: patients' IDs, and orders of infusions
    hl7: Hl7FeedSettings = Hl7FeedSettings()

    @property
    def wanted(self) -> bool:
        """Whether anything is configured that needs a process."""
        return self.hl7.port is not None
