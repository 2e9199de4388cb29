"""The sections of config.yaml as frozen values, without the ``triage`` section.

The processes of the door import this and load neither the measurement core nor a YAML reader. The comment above a field
is its description in docs/settings.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, field_validator, model_validator

from workers.feed_settings import FeedsSettings
from workers.intake_settings import StowSettings
from workers.patient_settings import PatientSettings
from workers.prior_settings import PriorsSettings
from workers.result_settings import ResultsSettings
from workers.sections import (
    AeTitle,
    ClientTlsSettings,
    DicomTarget,
    Port,
    Positive,
    Section,
    TlsSettings,
    networks_in,
    refuse_other_urls,
)
from workers.web_settings import WebSettings


class Peer(Section):
    """One sender that may talk to the node. Outside loopback only listed peers are answered."""

    # calling AE title of this sender
    ae_title: AeTitle
    # addresses or networks it may call from, e.g. 10.1.2.3 or 10.1.0.0/16; empty: any address
    hosts: tuple[str, ...] = ()
    # client certificates, of which it must show one (needs listener.tls.client_ca): sha256:<fingerprint> or
    # CN=<name>
    certificates: tuple[Annotated[str, Field(pattern=r"^(sha256:[0-9a-f]{64}|CN=.+)$")], ...] = ()
    # user name it must give in the association request
    user: str | None = None
    # passcode it must give with the user name
    passcode: str | None = None
    # associations it may have open at the same time; null: only the listener's limits
    max_associations: Annotated[int, Field(ge=1)] | None = None
    # objects it may send to each receiving process; a faster sender waits for its answers; null: no limit
    max_instances_per_s: Positive | None = None
    # its larger objects are refused with 0xA700; null: listener.max_object_bytes
    max_object_bytes: Annotated[int, Field(ge=1)] | None = None
    # its silent associations end after this time; null: listener.idle_timeout_s
    idle_timeout_s: Positive | None = None

    @field_validator("hosts")
    @classmethod
    def _networks(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        return networks_in(hosts)


class ReportTarget(DicomTarget):
    """Where a requester of storage commitment wants to hear about it."""

    # try the requester's own association first
    same_association: bool = False


class CommitmentSettings(Section):
    # answer storage commitment requests; an image counts as safe when it is flushed to this disk
    enabled: bool = True
    # where requesters hear the result, e.g. [{ae_title: PACS, host: 10.1.2.3, port: 104}]; others hear it on the
    # association of their request
    report_to: tuple[ReportTarget, ...] = ()
    # pause before the node calls an unreachable requester again; it doubles up to an hour
    retry_s: Positive = 60.0
    # a request that cannot be reported for this long is dropped, with an error in the log
    give_up_after_s: Positive = 172800.0


class ListenerSettings(Section):
    # our AE title; an association that calls another one is refused
    ae_title: AeTitle = "ICANSEE"
    # address to listen on; 0.0.0.0 for all (then list the senders under peers)
    host: str = "127.0.0.1"
    # TCP port of the DICOM listener; 0 takes a free one
    port: Port = 11112
    # receiving processes; more of them help with several fast senders
    processes: Annotated[int, Field(ge=1, le=64)] = 1
    # largest protocol data unit (PDU) we announce
    max_pdu_bytes: Annotated[int, Field(ge=4096, le=1 << 20)] = 131072
    # open associations in all
    max_associations: Annotated[int, Field(ge=1)] = 100
    # open associations from one address
    max_associations_per_address: Annotated[int, Field(ge=1)] = 50
    # larger DICOM objects are refused
    max_object_bytes: Annotated[int, Field(ge=1 << 20)] = 4 << 30
    # an association without any message for this long is ended
    idle_timeout_s: Positive = 60.0
    # time to negotiate an association
    acse_timeout_s: Positive = 15.0
    # a PDU must be complete this long after its first byte
    pdu_timeout_s: Positive = 60.0
    # open associations may go on for this long when the listener stops
    stop_grace_s: Annotated[float, Field(ge=0)] = 10.0
    # who may send, e.g. [{ae_title: PACS, hosts: [10.1.2.3, 10.1.4.0/24]}]; empty: only this machine; more keys:
    # listener.peers[] in docs/settings.md
    peers: tuple[Peer, ...] = ()
    # SOP Class UIDs to store besides MR, SR, SEG, SC, presentation states and PDF
    extra_storage_classes: tuple[str, ...] = ()
    # TLS 1.2 or newer at the port, {certificate: a.pem, private_key: b.pem, client_ca: c.pem}; null: no TLS
    tls: TlsSettings | None = None
    # stream (fast) or stock (pynetdicom's own, slower)
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

    # folder of everything the node keeps: images, index, prepared baselines, results
    state_dir: Path = Path("state")
    # folder on a file system that several hosts share, for images, prepared baselines and results; needs
    # index.url and queue.url; null: in state_dir
    shared_dir: Path | None = None
    # folder into which files are moved to be received; taken ones are removed, refused ones go to its folder refused
    # with a reason; null: none
    drop_dir: Path | None = None
    # a file in drop_dir that did not change for this long is complete
    drop_settle_s: Positive = 2.0
    # with less free space than this, images are refused (0xA700) instead of half stored
    min_free_bytes: Annotated[int, Field(ge=0)] = 2 << 30
    # delete images of a study this long after it came, when it is assessed, delivered and nobody's baseline; null:
    # never
    retention_days: Annotated[int, Field(ge=1)] | None = None
    # with less free space than this, delete the oldest such studies of any age, never those of the last day; null:
    # never
    clean_below_bytes: Annotated[int, Field(ge=0)] | None = None
    # whether the group of the node's account may read its files; otherwise nobody but the account itself
    group_readable: bool = False
    # most bytes of objects that came with other content under a known UID; more are refused (0xA700)
    max_conflict_bytes: Annotated[int, Field(ge=0)] = 10 << 30
    # also delete studies that a sender knows to be safe here by storage commitment
    delete_committed: bool = False

    @property
    def files_dir(self) -> Path:
        """Absolute: where images, results and prepared baselines are."""
        return (self.shared_dir or self.state_dir).absolute()


DATABASES = ("sqlite", "postgresql", "postgresql+psycopg")
BROKERS = ("redis", "rediss", "redis+socket")


class IndexSettings(Section):
    # SQLAlchemy URL, e.g. postgresql+psycopg://user:password@host/icansee; null: SQLite in state_dir
    url: str | None = None

    @field_validator("url")
    @classmethod
    def _of_a_database(cls, url: str | None) -> str | None:
        if url is None:
            return url
        kind = refuse_other_urls(url, DATABASES).scheme
        if kind == "sqlite" and (
            not url.removeprefix("sqlite:///").strip("/") or ":memory:" in url or url == "sqlite://"
        ):
            raise ValueError("a database in memory is another one for each process; name a file: sqlite:////DIR/FILE")
        return url


WALL_TIMES = 5  # a machine that keeps a study waiting longer is too small, and somebody has to hear of it


class QueueSettings(Section):
    # Redis URL, e.g. redis://:password@host:6379/0; null: icansee serve runs its own broker
    url: str | None = None

    @field_validator("url")
    @classmethod
    def _of_a_broker(cls, url: str | None) -> str | None:
        if url is not None:
            refuse_other_urls(url, BROKERS)
        return url

    # a study of a dead worker is taken up again after this long
    lease_s: Positive = 30.0
    # pause between two searches of the beat for studies that are due
    sweep_every_s: Positive = 5.0
    # attempts before a study is shown as failed
    max_attempts: Annotated[int, Field(ge=1)] = 4
    # attempts before a study whose last worker was killed (power, memory, kill -9) is shown as failed; more than
    # max_attempts, because the cause may lie outside the study
    max_killed_attempts: Annotated[int, Field(ge=1)] = 8
    # pause before the second attempt; it doubles up to 300 s
    retry_delay_s: Positive = 10.0
    # an assessment that takes longer, its waits for a processor not counted, is ended; after the second time the study
    # is quarantined. In any case it is ended after five times as long
    task_time_limit_s: Positive = 600.0
    # an assessment that needs more memory than this, or than 55 % of a container's memory, is ended; after the second
    # time the study is quarantined; null: no limit
    worker_memory_bytes: Annotated[int, Field(ge=1 << 30)] | None = 3 << 30
    # studies assessed at the same time; each needs about 1 GB of memory and triage.threads cores
    worker_processes: Annotated[int, Field(ge=1, le=256)] = 1
    # icansee serve runs one more worker for studies taken after a known infusion, so that they wait for no other study
    # (not even one that hangs until its time limit); it needs another 1 GB of memory while it works, 0.4 GB otherwise
    urgent_worker: bool = True
    # this many more urgent studies are assessed at the same time when the worker for them is busy and another one
    # waits, so that a study that hangs delays no urgent one for more than some seconds; each needs another 1 GB while
    # it works
    urgent_more: Annotated[int, Field(ge=0, le=64)] = 2

    @property
    def task_wall_limit_s(self) -> float:
        """After this long a task is ended however long it waited for a processor."""
        return WALL_TIMES * self.task_time_limit_s

    @model_validator(mode="after")
    def _patience(self) -> Self:
        if self.max_killed_attempts < self.max_attempts:
            raise ValueError(
                f"max_killed_attempts: {self.max_killed_attempts} is less than max_attempts: {self.max_attempts}"
            )
        return self


class PacsQuerySettings(DicomTarget):
    """A PACS that is asked how many images a study has."""

    # level of the C-FIND request
    level: Literal["STUDY", "SERIES", "IMAGE"] = "SERIES"
    # pause between two requests for one study
    every_s: Positive = 20.0


class ArrivalSettings(Section):
    # a study without a new image for this long counts as complete, when nothing else tells; later images reopen it, so
    # waiting longer would only delay what is there
    quiet_period_s: Positive = 20.0
    # a FLAIR series without gaps gets a first look this long after its last image; after half of it when a later series
    # has begun, and sooner when a fast sender sent ten images of that
    flair_settle_s: Annotated[float, Field(ge=0)] = 1.0
    # a study with a whole FLAIR whose series came one right after another counts as complete this long after its last
    # image, or after four times its longest pause; quiet_period_s at most
    study_settle_s: Positive = 4.0
    # accept performed procedure steps (MPPS): they tell when a study is complete and how many images it has
    mpps: bool = True
    # accept instance availability notices (IAN), for the same purpose
    availability_notices: bool = True
    # PACS that the node asks (C-FIND) how many images a study has, {ae_title: PACS, host: 10.1.2.3, port: 104,
    # level: SERIES}; null: none
    query: PacsQuerySettings | None = None


class BaselineSettings(Section):
    # an older study is no baseline (without an infusion date: days before the follow-up)
    latest_days_before_infusion: Annotated[int, Field(ge=1)] = 365
    # measure a baseline when it arrives, so that the follow-up is fast
    prepare_ahead: bool = True


class AuditSettings(Section):
    # audit repository, e.g. audit.hospital; null: no audit messages
    host: str | None = None
    # TLS port of the audit repository
    port: Annotated[int, Field(ge=1, le=65535)] = 6514
    # TLS settings, {ca: ca.pem, certificate: ours.pem, private_key: ours.key, check_hostname: true}; required
    # with host
    tls: ClientTlsSettings | None = None
    # our name in the messages; null: the AE title
    source_id: str | None = None
    # messages kept while the repository is away; the oldest are dropped first
    spool_messages: Annotated[int, Field(ge=1, le=1_000_000)] = 20_000

    @model_validator(mode="after")
    def _never_in_clear(self) -> Self:
        if self.host is not None and self.tls is None:
            raise ValueError("audit.tls is needed with audit.host: audit messages name patients")
        return self


class LogSettings(Section):
    # least severe events that are logged: debug, info, warning or error
    level: Literal["debug", "info", "warning", "error"] = "info"
    # json (one object per line) or console
    format: Literal["console", "json"] = "json"


class NodeSettings(Section):
    """config.yaml without the ``triage`` section: all that the processes need which do not measure."""

    # the DICOM listener: C-STORE and C-ECHO
    listener: ListenerSettings = ListenerSettings()
    # storage commitment: senders ask which of their images are safe here
    commitment: CommitmentSettings = CommitmentSettings()
    # files
    store: StoreSettings = StoreSettings()
    # the database about the files; it is rebuilt from them if it is lost
    index: IndexSettings = IndexSettings()
    # who works on what
    queue: QueueSettings = QueueSettings()
    # when a study is complete enough to be looked at
    arrival: ArrivalSettings = ArrivalSettings()
    # which earlier study a follow-up is compared with
    baseline: BaselineSettings = BaselineSettings()
    # images over HTTP (STOW-RS) beside C-STORE
    stow: StowSettings = StowSettings()
    # who is the same patient
    patients: PatientSettings = PatientSettings()
    # archives that are asked for a missing baseline
    priors: PriorsSettings = PriorsSettings()
    # worklist page and HTTP API, and who may use them (icansee users)
    web: WebSettings = WebSettings()
    # DICOM audit messages (PS3.15 A.5) to a syslog server over TLS; they name patients
    audit: AuditSettings = AuditSettings()
    # what clinical systems say about patients: IDs that are merged or corrected, infusions
    feeds: FeedsSettings = FeedsSettings()
    # who gets what of each decision
    results: ResultsSettings = ResultsSettings()
    # events on stderr, without patient data
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
