"""The sections of config.yaml as frozen values, and the settings of a process that does not measure. Light: the door's
processes import this, and neither the measurement core nor a YAML reader."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

AeTitle = Annotated[str, Field(pattern=r"^[\x21-\x5B\x5D-\x7E](?:[\x20-\x5B\x5D-\x7E]{0,14}[\x21-\x5B\x5D-\x7E])?$")]
Port = Annotated[int, Field(ge=0, le=65535)]
Positive = Annotated[float, Field(gt=0)]


class Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Peer(Section):
    """One sender that may talk to the node. Outside loopback only listed peers are answered."""

    ae_title: AeTitle
    hosts: tuple[str, ...] = Field(
        default=(), description="addresses or networks, e.g. 10.1.2.3 or 10.1.0.0/16; empty: any address"
    )
    certificates: tuple[Annotated[str, Field(pattern=r"^(sha256:[0-9a-f]{64}|CN=.+)$")], ...] = Field(
        default=(), description="of which it must show one (TLS with client_ca): sha256:<fingerprint> or CN=<name>"
    )
    user: str | None = Field(default=None, description="user name that it must give in the association request")
    passcode: str | None = Field(default=None, description="and the passcode to it")
    max_associations: Annotated[int, Field(ge=1)] | None = None
    max_instances_per_s: Positive | None = Field(
        default=None, description="in each receiving process; more has to wait"
    )
    max_object_bytes: Annotated[int, Field(ge=1)] | None = None
    idle_timeout_s: Positive | None = None

    @field_validator("hosts")
    @classmethod
    def _networks(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        for host in hosts:
            ipaddress.ip_network(host, strict=False)  # its ValueError names the text and what is wrong with it
        return hosts


class TlsSettings(Section):
    """TLS at the DICOM port (BCP 195: 1.2 or newer, forward secrecy). Without client_ca no client certificate is asked."""

    certificate: Path = Field(description="PEM, with its chain")
    private_key: Path = Field(description="PEM")
    client_ca: Path | None = Field(
        default=None, description="PEM; senders must show a certificate signed by one of these"
    )


class ClientTlsSettings(Section):
    """TLS when we call somebody."""

    ca: Path = Field(description="PEM; the other side must show a certificate signed by one of these")
    certificate: Path | None = Field(default=None, description="PEM, ours, when the other side asks for one")
    private_key: Path | None = Field(default=None, description="PEM")
    check_hostname: bool = True


class DicomTarget(Section):
    """A DICOM node that we call."""

    ae_title: AeTitle
    host: str
    port: Annotated[int, Field(ge=1, le=65535)] = 104
    tls: ClientTlsSettings | None = None


class ReportTarget(DicomTarget):
    """Where a requester of storage commitment wants to hear about it."""

    same_association: bool = Field(default=False, description="try the requester's own association first")


class CommitmentSettings(Section):
    enabled: bool = True
    report_to: tuple[ReportTarget, ...] = ()
    retry_s: Positive = 60.0
    give_up_after_s: Positive = 172800.0


class ListenerSettings(Section):
    ae_title: AeTitle = "ICANSEE"
    host: str = "127.0.0.1"
    port: Port = 11112
    processes: Annotated[int, Field(ge=1, le=64)] = 1
    max_pdu_bytes: Annotated[int, Field(ge=4096, le=1 << 20)] = 131072
    max_associations: Annotated[int, Field(ge=1)] = 100
    max_associations_per_address: Annotated[int, Field(ge=1)] = 50
    max_object_bytes: Annotated[int, Field(ge=1 << 20)] = 4 << 30
    idle_timeout_s: Positive = 60.0
    acse_timeout_s: Positive = 15.0
    pdu_timeout_s: Positive = Field(default=60.0, description="a PDU that was begun must be whole after this long")
    stop_grace_s: Annotated[float, Field(ge=0)] = Field(
        default=10.0, description="how long open associations may go on when the listener is stopped"
    )
    peers: tuple[Peer, ...] = ()
    extra_storage_classes: tuple[str, ...] = ()
    tls: TlsSettings | None = None
    receive_path: Literal["stream", "stock"] = "stream"

    @model_validator(mode="before")
    @classmethod
    def _always_durable(cls, raw: object) -> object:
        """Accept ``durable: true`` of older files: objects are always durable before the answer."""
        if not isinstance(raw, dict) or "durable" not in raw:
            return raw
        if raw["durable"] is not True:
            raise ValueError(
                "durable: a node always stores an object durably before it answers; remove this key "
                "(only bench/ingest measures without it)"
            )
        return {name: value for name, value in raw.items() if name != "durable"}

    @model_validator(mode="after")
    def _certificates_can_be_seen(self) -> Self:
        if any(peer.certificates for peer in self.peers) and (self.tls is None or self.tls.client_ca is None):
            raise ValueError("peers with certificates need listener.tls.client_ca: nobody is asked for one without it")
        return self


class StoreSettings(Section):
    """state_dir belongs to one host, shared_dir to all of them."""

    state_dir: Path = Path("state")
    shared_dir: Path | None = Field(
        default=None, description="images, results and prepared baselines of several hosts; empty: in state_dir"
    )
    min_free_bytes: Annotated[int, Field(ge=0)] = 2 << 30
    retention_days: Annotated[int, Field(ge=1)] | None = None
    clean_below_bytes: Annotated[int, Field(ge=0)] | None = None
    delete_committed: bool = False

    @property
    def files_dir(self) -> Path:
        """Absolute: where images, results and prepared baselines are."""
        return (self.shared_dir or self.state_dir).absolute()


class IndexSettings(Section):
    url: str | None = Field(default=None, description="SQLAlchemy URL; empty: SQLite (WAL) in the state folder")


class QueueSettings(Section):
    url: str | None = Field(
        default=None, description="redis:// URL; empty: the node starts its own server on a loopback socket"
    )
    lease_s: Positive = 30.0
    sweep_every_s: Positive = 5.0
    max_attempts: Annotated[int, Field(ge=1)] = 4
    # a study that kills its worker does so each time; one whose worker is killed by something else deserves more patience
    max_killed_attempts: Annotated[int, Field(ge=1)] = 8
    retry_delay_s: Positive = 10.0
    task_time_limit_s: Positive = 600.0
    worker_processes: Annotated[int, Field(ge=1, le=256)] = 1

    @model_validator(mode="after")
    def _patience(self) -> Self:
        if self.max_killed_attempts < self.max_attempts:
            raise ValueError(
                f"max_killed_attempts: {self.max_killed_attempts} is less than max_attempts: {self.max_attempts}"
            )
        return self


class PacsQuerySettings(DicomTarget):
    """A PACS that is asked how many images a study has."""

    level: Literal["STUDY", "SERIES", "IMAGE"] = "SERIES"
    every_s: Positive = 20.0


class ArrivalSettings(Section):
    # the fallback; images that come later reopen the study: waiting longer would only delay what is there
    quiet_period_s: Positive = 20.0
    flair_settle_s: Annotated[float, Field(ge=0)] = 1.0
    mpps: bool = True
    availability_notices: bool = True
    query: PacsQuerySettings | None = None


class BaselineSettings(Section):
    latest_days_before_infusion: Annotated[int, Field(ge=1)] = 365
    prepare_ahead: bool = True


class WebSettings(Section):
    host: str = "127.0.0.1"
    port: Port = 8042
    allowed_hosts: tuple[str, ...] = Field(
        default=(), description="names a browser may use; empty: loopback names when bound to loopback, else any"
    )


class AuditSettings(Section):
    host: str | None = None
    port: Annotated[int, Field(ge=1, le=65535)] = 6514
    tls: ClientTlsSettings | None = None
    source_id: str | None = None
    spool_messages: Annotated[int, Field(ge=1, le=1_000_000)] = 20_000

    @model_validator(mode="after")
    def _never_in_clear(self) -> Self:
        if self.host is not None and self.tls is None:
            raise ValueError("audit.tls is needed with audit.host: audit messages name patients")
        return self


class LogSettings(Section):
    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["console", "json"] = "json"


class NodeSettings(Section):
    """config.yaml without the ``triage`` section: all that the processes need which do not measure."""

    listener: ListenerSettings = ListenerSettings()
    commitment: CommitmentSettings = CommitmentSettings()
    store: StoreSettings = StoreSettings()
    index: IndexSettings = IndexSettings()
    queue: QueueSettings = QueueSettings()
    arrival: ArrivalSettings = ArrivalSettings()
    baseline: BaselineSettings = BaselineSettings()
    web: WebSettings = WebSettings()
    audit: AuditSettings = AuditSettings()
    log: LogSettings = LogSettings()

    @model_validator(mode="after")
    def _what_is_shared_has_one_index(self) -> Self:
        if self.store.shared_dir is None:
            return self
        if not (self.index.url or "").startswith("postgresql") or self.queue.url is None:
            raise ValueError("store.shared_dir is for several hosts: it needs a postgresql index.url and a queue.url")
        return self

    @property
    def index_url(self) -> str:
        return self.index.url or f"sqlite:///{self.store.state_dir.absolute() / 'index.db'}"

    @property
    def owns_index(self) -> bool:
        """The index belongs to this state folder alone: the node may upgrade its schema unasked."""
        return self.index.url is None

    def node(self) -> NodeSettings:
        """These settings without what a subclass added."""
        return NodeSettings.model_validate(self.model_dump(include=set(NodeSettings.model_fields)))
