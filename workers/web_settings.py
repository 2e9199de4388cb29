"""The web section of config.yaml as frozen values: the page, the API and who may use them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from string import Formatter
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, field_validator, model_validator

from workers.destination_settings import never_in_clear
from workers.sections import ClientTlsSettings, Port, Positive, Section, TlsSettings, networks_in

LINK_FIELDS = ("study_instance_uid", "baseline_study_instance_uid", "accession_number", "patient_id")
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1", "[::1]")


class ProviderSettings(Section):
    """Sign-in through the site's identity provider: OpenID Connect, code flow with PKCE. Our address for the way back
    is the address of the page with /login/back; the provider must know it."""

    # the provider as it calls itself, e.g. https://login.hospital/realms/clinic; beyond this machine only https
    issuer: str
    # our client ID at the provider
    client_id: str
    # file with our client secret; null: a public client
    client_secret_file: Path | None = None
    # {ca: ca.pem} when its certificate is of a CA of the site; null: the CAs of the machine
    tls: ClientTlsSettings | None = None
    # what the link on the sign-in page says after "Sign in with"
    label: Annotated[str, Field(min_length=1, max_length=60)] = "the hospital account"
    # scopes that are asked for; openid must be among them
    scopes: tuple[str, ...] = ("openid", "profile")
    # claim with the name of the account, as `icansee users` lists it
    name_claim: str = "preferred_username"
    # claim with the groups or roles of the person; a path such as realm_access.roles is followed
    role_claim: str = "roles"
    # its values to roles: reader, administrator or service, e.g. {icansee-readers: reader}; who has none of them is not
    # let in, and who has several gets the strongest
    roles: Annotated[Mapping[str, Literal["reader", "administrator", "service"]], Field(min_length=1)]
    # the provider asks for the password at each sign-in; false: a session there is enough, only where nobody shares a
    # workplace
    ask_again: bool = True
    # the provider is given up for now when it says nothing for this long
    timeout_s: Positive = 5.0

    @field_validator("issuer")
    @classmethod
    def _never_in_clear(cls, url: str) -> str:
        return never_in_clear(url)

    @field_validator("scopes")
    @classmethod
    def _of_openid(cls, scopes: tuple[str, ...]) -> tuple[str, ...]:
        if "openid" not in scopes:
            raise ValueError("scopes: openid must be among them")
        return scopes


class DeadlineSettings(Section):
    """Minutes from the first image of a study until somebody should have read it; null: no deadline.

    60 and 180 are what Anthony et al., Radiology 2011 (doi:10.1148/radiol.11101396) give for red and orange alerts.
    """

    # of a study with priority P1
    p1: Positive | None = 60.0
    # of a study with priority P2
    p2: Positive | None = 180.0
    # of a study with priority P3
    p3: Positive | None = 1440.0
    # of a study that failed
    failed: Positive | None = 180.0
    # of a study that could not be assessed
    not_assessable: Positive | None = 180.0
    # of a study whose order is urgent (STAT or HIGH), whatever was found in it; the earlier deadline counts
    urgent_order: Positive | None = 60.0


class WebSettings(Section):
    # address to listen on; beyond loopback it needs an account (icansee users add) and tls, proxies or plain_http
    host: str = "127.0.0.1"
    # TCP port of page and API; 0 takes a free one
    port: Port = 8042
    # host names a browser may use, beside loopback names; empty: this machine's name and the bound address, never any
    allowed_hosts: tuple[str, ...] = ()
    # TLS 1.2 or newer at the port, {certificate: a.pem, private_key: b.pem}; null: no TLS
    tls: TlsSettings | None = None
    # addresses of the site's reverse proxies, e.g. [10.1.2.3]: what they say about the client and about TLS is believed
    proxies: tuple[str, ...] = ()
    # passwords may come without TLS from other machines; only where something else encrypts, such as a container port
    # that is published on loopback
    plain_http: bool = False
    # a session in which nobody does anything for this long is locked until the password is given again
    idle_lock_s: Positive = 900.0
    # a session ends this long after the sign-in, whatever happens
    session_s: Positive = 43200.0
    # sign-in through the site's identity provider (OpenID Connect), e.g.
    # {issuer: "https://login.hospital", client_id: icansee, roles: {icansee-readers: reader}}; null: passwords only
    provider: ProviderSettings | None = None
    # time zone of the site for the times on the pages, and of results whose images state none, e.g. Europe/Berlin;
    # null: that of this machine, which results use unless it is UTC
    time_zone: str | None = None
    # minutes from the first image of a study until somebody should have read it
    read_within_min: DeadlineSettings = DeadlineSettings()
    # links of the study page to other viewers, name to address,
    # e.g. {PACS: "https://pacs/?study={study_instance_uid}"};
    # also {baseline_study_instance_uid}, {accession_number} and {patient_id}, which then stand in the address
    viewers: Mapping[str, str] = {}

    @field_validator("viewers")
    @classmethod
    def _addresses(cls, viewers: Mapping[str, str]) -> Mapping[str, str]:
        for name, address in viewers.items():
            try:
                fields = {field for _, field, _, _ in Formatter().parse(address) if field is not None}
            except ValueError as error:
                raise ValueError(f"viewers.{name}: {error}") from error
            if unknown := sorted(fields - set(LINK_FIELDS)):
                raise ValueError(f"viewers.{name}: {unknown[0]!r} is none of {', '.join(LINK_FIELDS)}")
            if not address.startswith(("https://", "http://")):
                raise ValueError(f"viewers.{name}: the address must begin with https:// or http://")
        return viewers

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, name: str | None) -> str | None:
        try:
            return name if name is None else ZoneInfo(name).key
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(f"time_zone: this machine knows no zone {name!r}") from error

    @field_validator("proxies")
    @classmethod
    def _networks(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        return networks_in(proxies)

    @model_validator(mode="after")
    def _no_password_in_clear(self) -> Self:
        if self.host not in LOOPBACK_NAMES and self.tls is None and not self.proxies and not self.plain_http:
            raise ValueError(
                "host beyond loopback needs web.tls, or web.proxies when a reverse proxy ends TLS, "
                "or web.plain_http: true when something else encrypts: passwords must not travel in clear"
            )
        return self

    @property
    def beyond_loopback(self) -> bool:
        """Can somebody on another machine reach the page? Another name than those of loopback says so too."""
        return (
            self.host not in LOOPBACK_NAMES or bool(self.proxies) or bool(set(self.allowed_hosts) - {*LOOPBACK_NAMES})
        )
