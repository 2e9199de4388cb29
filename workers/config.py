"""config.yaml in, one validated, frozen Settings out; unknown or wrong keys are refused with the key and the accepted values."""

from __future__ import annotations

import hashlib
import ipaddress
import json
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator, model_validator
from pydantic_core import ErrorDetails

from triage.errors import Misconfigured
from triage.settings import TriageSettings

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
    durable: bool = True

    @model_validator(mode="after")
    def _certificates_can_be_seen(self) -> Self:
        if any(peer.certificates for peer in self.peers) and (self.tls is None or self.tls.client_ca is None):
            raise ValueError("peers with certificates need listener.tls.client_ca: nobody is asked for one without it")
        return self


class StoreSettings(Section):
    state_dir: Path = Path("state")
    min_free_bytes: Annotated[int, Field(ge=0)] = 2 << 30
    retention_days: Annotated[int, Field(ge=1)] | None = None
    clean_below_bytes: Annotated[int, Field(ge=0)] | None = None
    delete_committed: bool = False


class IndexSettings(Section):
    url: str | None = Field(default=None, description="SQLAlchemy URL; empty: SQLite (WAL) in the state folder")


class QueueSettings(Section):
    url: str | None = Field(
        default=None, description="redis:// URL; empty: the node starts its own server on a loopback socket"
    )
    lease_s: Positive = 30.0
    sweep_every_s: Positive = 5.0
    max_attempts: Annotated[int, Field(ge=1)] = 4
    retry_delay_s: Positive = 10.0
    task_time_limit_s: Positive = 600.0
    worker_processes: Annotated[int, Field(ge=1, le=256)] = 1


class PacsQuerySettings(DicomTarget):
    """A PACS that is asked how many images a study has."""

    level: Literal["STUDY", "SERIES", "IMAGE"] = "SERIES"
    every_s: Positive = 20.0


class ArrivalSettings(Section):
    quiet_period_s: Positive = 30.0
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


class Settings(Section):
    """The whole of config.yaml."""

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
    triage: TriageSettings = Field(default_factory=TriageSettings)

    @field_validator("triage", mode="before")
    @classmethod
    def _triage(cls, value: object) -> object:
        return {} if value is None else value

    def sha256(self) -> str:
        """Digest of everything that can change a result (the ``triage`` section)."""
        text = json.dumps(TypeAdapter(TriageSettings).dump_python(self.triage, mode="json"), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def index_url(self) -> str:
        return self.index.url or f"sqlite:///{self.store.state_dir.absolute() / 'index.db'}"


def load(path: Path) -> Settings:
    """Read and validate config.yaml.

    Raises:
        Misconfigured: the file is missing, not YAML, or a key is unknown or wrong; the message names the key and what is accepted.
    """
    try:
        raw = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise Misconfigured(f"{path}: cannot be read ({error.strerror})") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise Misconfigured(f"{path}: not valid YAML ({error})") from error
    return parse({} if raw is None else raw, source=str(path))


def parse(raw: object, *, source: str = "config") -> Settings:
    """Validate an already parsed mapping; see :func:`load`."""
    if not isinstance(raw, dict):
        raise Misconfigured(f"{source}: expected a mapping of sections, got {type(raw).__name__}")
    try:
        return Settings.model_validate({key: {} if value is None else value for key, value in raw.items()})
    except ValidationError as error:
        raise Misconfigured("\n".join(f"{source}: {_explain(e)}" for e in error.errors())) from error


def _explain(error: ErrorDetails) -> str:
    key = ".".join(str(part) for part in error["loc"])
    if error["type"] in ("extra_forbidden", "unexpected_keyword_argument"):
        return f"{key}: unknown key; accepted here: {', '.join(accepted_keys(error['loc'][:-1]))}"
    return f"{key}: {error['msg']} (got {error['input']!r})"


def accepted_keys(where: tuple[int | str, ...]) -> list[str]:
    """Keys that config.yaml accepts under ``where``, e.g. ``("listener",)``."""
    schema = Settings.model_json_schema()
    node: dict[str, Any] = schema
    for part in where:
        node = _resolve(node, schema)
        node = node["items"] if isinstance(part, int) else node["properties"][part]
    return sorted(_resolve(node, schema).get("properties", {}))


def _resolve(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    while True:
        # an optional section is one of several, and of these the one that is not null
        wrapped = node.get("allOf", []) + [one for one in node.get("anyOf", []) if "$ref" in one]
        ref = node.get("$ref") or (wrapped[0]["$ref"] if wrapped else None)
        if ref is None:
            return node
        node = schema["$defs"][ref.rsplit("/", 1)[-1]]
