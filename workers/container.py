"""Settings in, the wired parts of one process out. Nothing heavy is imported or opened before it is needed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from triage.errors import Transient
from workers.access_ports import Accounts
from workers.act_ports import Acts
from workers.clock import zone_of_machine
from workers.delivery_ports import Decided, Deliveries, Destination, ShadowKind, released_by
from workers.heartbeat import Heartbeat, heartbeat_file
from workers.image_ports import ImageBatches
from workers.log import get_logger
from workers.ports import Bell, Clock, InstanceFiles, InstanceRow, StudyIndex
from workers.prior_ports import PriorSearches
from workers.settings import NodeSettings
from workers.worklist_ports import Deadlines, Group, KeptViews, Worklist

if TYPE_CHECKING:
    from workers.arrival.order_texts import OrderTexts
    from workers.config import Settings
    from workers.deliveries.sending import Delivering
    from workers.deliveries.staging import ScannerFacts
    from workers.feedback.acting import Acting
    from workers.feeds.apply import PatientFacts, Readings
    from workers.outputs.output import EvidenceFiles
    from workers.outputs.results import ResultFolder
    from workers.rules.answer import RulesAnswer
    from workers.rules.head_process import HeadProcess
    from workers.rules.heads import ReadsHead
    from workers.rules.rule import RuleSet
    from workers.rules.site import SiteRules
    from workers.studies.deps import Deps
    from workers.web_settings import DeadlineSettings

log = get_logger(__name__)


def node_index(settings: NodeSettings) -> StudyIndex:
    """The index of this node; one that the node owns is brought to this program's schema.

    Raises:
        Misconfigured, Transient: see workers.index.sql.open_index.
    """
    from workers.index.node_index import open_node_index

    return open_node_index(settings)


def patient_facts(settings: NodeSettings) -> PatientFacts:
    """The index of this node, for what the feeds report.

    Raises:
        Misconfigured, Transient: see workers.index.sql.open_index.
    """
    from workers.index.index_clock import clock_of
    from workers.studies.reported import ReportedFacts

    return ReportedFacts(node_index(settings), now=clock_of(settings).now)


def open_results(settings: NodeSettings) -> ResultFolder:
    from workers.outputs.results import ResultFolder

    return ResultFolder(settings.store.files_dir / "results")


def open_deps(
    settings: Settings, bell: Bell, *, clock: Clock | None = None, prepare_later: Callable[[str], None] | None = None
) -> Deps:
    """Everything a worker needs.

    Raises:
        Misconfigured: the settings do not lead to a working node.
        Transient: the index cannot be reached now.
    """
    from workers.files.store import open_files
    from workers.index.index_clock import clock_of
    from workers.index.order_priorities import priorities_of_orders
    from workers.reading.reader import DicomReader
    from workers.studies.deps import Deps
    from workers.studies.descriptions import KeptDescriptions
    from workers.studies.engine import TriageEngine
    from workers.studies.prepared_baselines import PreparedBaselines, PreparedFolders

    prepared = settings.store.files_dir / "prepared"
    reader, engine = DicomReader(), TriageEngine(settings, prepared)
    index, files = node_index(settings), open_files(settings)

    return Deps(
        settings=settings,
        index=index,
        files=files,
        clock=clock or clock_of(settings),
        bell=bell,
        reader=reader,
        engine=engine,
        baselines=PreparedBaselines(
            prepared,
            PreparedFolders(),
            reader=reader,
            engine=engine,
            index=index,
            files=files,
        ),
        results=open_results(settings),
        descriptions=KeptDescriptions(prepared, reader=reader, index=index, files=files),
        prepare_later=prepare_later,
        order_hint=order_texts(settings),
        searches=open_searches(settings) if settings.priors.wanted else None,
        orders=priorities_of_orders(settings),
    )


def open_searches(settings: NodeSettings) -> PriorSearches:
    """The searches for missing baselines; the index must be there."""
    from workers.index.prior_searches import open_prior_searches

    return open_prior_searches(settings.index_url)


def open_deliveries(settings: NodeSettings) -> Deliveries:
    """The deliveries of this node; the index is brought to this program's schema as ``node_index`` says."""
    from workers.index.node_index import open_node_index
    from workers.index.node_words import open_node_deliveries

    open_node_index(settings).close()
    return open_node_deliveries(settings)


def readings_of(settings: NodeSettings) -> Readings | None:
    """Who is told that a study was read; None: nobody gets results."""
    if not settings.results.destinations:
        return None
    from workers.deliveries.readings import StopsEscalation
    from workers.index.index_clock import clock_of

    return StopsEscalation(open_deliveries(settings), now=clock_of(settings).now)


def open_accounts(settings: NodeSettings) -> Accounts:
    """The accounts of the web application; the index is brought to this program's schema as ``node_index`` says."""
    from workers.index.accounts import open_account_table

    node_index(settings)
    return open_account_table(settings.index_url)


def open_images(settings: NodeSettings) -> ImageBatches:
    """Images on their way out, and tags; the index must be there."""
    from workers.index.image_batches import open_image_batches

    return open_image_batches(settings.index_url)


def open_list(settings: NodeSettings) -> Worklist:
    """The list of studies of this node; the index must be there."""
    from workers.index.worklist import open_worklist_table

    return open_worklist_table(settings.index_url, deadlines_of(settings.web.read_within_min))


def open_views(settings: Settings) -> KeptViews:
    """Saved views of the worklist; the index must be there."""
    from workers.index.views import open_view_table

    return open_view_table(settings.index_url)


def deadlines_of(said: DeadlineSettings) -> Deadlines:
    """The site's deadlines as the worklist takes them."""
    limits = said.model_dump(exclude={"urgent_order"})
    return Deadlines({Group(name): limit for name, limit in limits.items() if limit is not None}, said.urgent_order)


def open_acts(settings: NodeSettings) -> Acts:
    """What readers said; the index is brought to this program's schema as ``node_index`` says."""
    from workers.index.node_words import open_node_acts

    node_index(settings)
    return open_node_acts(settings)


def open_acting(settings: NodeSettings) -> Acting:
    """Takes what readers say."""
    from workers.feedback.acting import Acting

    return Acting(open_acts(settings), open_deliveries(settings))


def run_deliveries(
    settings: NodeSettings,
    destinations: Mapping[str, Destination],
    rules: RuleSet | None,
    stop: threading.Event,
    ready: Callable[[], None],
) -> None:
    """The delivery process, until ``stop``. It waits for an index that is away."""
    from workers.deliveries import process

    with Heartbeat(heartbeat_file(settings.store.state_dir, "deliver")) as alive:

        def opened() -> tuple[StudyIndex, Deliveries]:
            alive.beat()
            return node_index(settings), open_deliveries(settings)

        ready()
        both = process.patiently(opened, stop)
        if both is not None:
            process.run(_delivering(settings, rules, *both), destinations, stop, alive=alive.beat)


def _delivering(settings: NodeSettings, rules: RuleSet | None, index: StudyIndex, deliveries: Deliveries) -> Delivering:
    from workers.deliveries import stored
    from workers.deliveries.forwarding import Forwarding
    from workers.deliveries.images import StoredImages
    from workers.deliveries.other_nodes import delivery_owner
    from workers.deliveries.sending import Delivering
    from workers.files.store import open_files
    from workers.index.following import sqlite_path
    from workers.index.index_clock import clock_of
    from workers.outputs.on_demand import OutputsOnDemand

    clock, owner = clock_of(settings), delivery_owner(settings.store)
    document, evidence = stored.stored_document_of(index), _evidence(settings, index, clock)
    batches, files = open_images(settings), open_files(settings)

    @cache
    def heads() -> HeadProcess:
        from workers.rules.head_process import HeadProcess  # loads the language of the rules

        return HeadProcess()

    site = _site(rules, index, batches, files, deliveries, settings, clock, heads)
    meant = stored.series_meant_of(evidence) if rules is not None and rules.forwards_decided_series else None
    asked = None if site is None else site.asked_at_arrival
    return Delivering(
        deliveries=deliveries,
        document=document,
        evidence=evidence,
        outputs=OutputsOnDemand(),
        clock=clock,
        results=settings.results,
        owner=owner,
        wanted=_wanted(site, document),
        images=StoredImages(batches, files),
        scanner=lambda uid: _scanner(index.instances(uid), files, heads().head),
        forwarding=Forwarding(batches, deliveries, index, clock, settings.results, asked, meant, owner),
        alone=sqlite_path(settings.index_url) is not None,
        zone=zone_of_site(settings),
    )


def zone_of_site(settings: NodeSettings) -> str:
    """IANA name; "" when it is not known."""
    return settings.web.time_zone or zone_of_machine()


def _evidence(settings: NodeSettings, index: StudyIndex, clock: Clock) -> Callable[[Decided], EvidenceFiles]:
    from workers.deliveries.stored import evidence_of, time_of, worked_on
    from workers.studies.source_process import SourceProcess

    repair, busy = SourceProcess(settings, index).repaired, worked_on(index, clock)
    return evidence_of(open_results(settings), time_of(index), clock, repair, busy)


def _scanner(rows: Sequence[InstanceRow], files: InstanceFiles, read: ReadsHead) -> ScannerFacts:
    """Of the images of one study: all senders, and what the first series with a header says."""
    from workers.deliveries.staging import ScannerFacts

    by_series: dict[str, list[InstanceRow]] = {}
    for row in rows:
        by_series.setdefault(row.series_instance_uid, []).append(row)

    def head(some: Sequence[InstanceRow]) -> Mapping[str, str]:
        try:
            return read([files.path(row) for row in some[:1]]).values
        except (Transient, OSError):  # one file that cannot be read now must not hold up every other decision
            log.exception("delivery.scanner_not_read")
            return {}

    said = next((one for one in map(head, by_series.values()) if one), {})
    names = ("DeviceSerialNumber", "StationName", "InstitutionName")
    serial, station, institution = (said.get(name, "") for name in names)
    return ScannerFacts({row.calling_ae for row in rows}, serial, station, institution)


def _site(
    rules: RuleSet | None,
    index: StudyIndex,
    batches: ImageBatches,
    files: InstanceFiles,
    deliveries: Deliveries,
    settings: NodeSettings,
    clock: Clock,
    heads: Callable[[], HeadProcess],
) -> SiteRules | None:
    if rules is None:
        return None
    from workers.rules.heads import HeadReader
    from workers.rules.site import SiteRules
    from workers.rules.tally import rule_tally

    return SiteRules(
        rules,
        index,
        clock.now,
        head=HeadReader(files.path, heads().head).of,
        tags=lambda uid: [one.tag for one in batches.tags([uid]).get(uid, [])],
        released=lambda: {name for kind, name in released_by(deliveries.releases()) if kind is ShadowKind.RULE},
        count=rule_tally(settings.store.state_dir).add,
    )


def _wanted(
    site: SiteRules | None, document: Callable[[Decided], Mapping[str, Any]]
) -> Callable[[Decided], RulesAnswer | None]:
    if site is None:
        return lambda _decided: None
    from workers.rules.site import wanted_by

    return wanted_by(site, document)


def order_texts(settings: NodeSettings) -> OrderTexts | None:
    """What asks the modality worklist; None: there is none."""
    if settings.feeds.worklist is None:
        return None
    from workers.arrival.order_texts import OrderTexts
    from workers.audit.spool import auditor_of

    return OrderTexts(settings.feeds.worklist, settings.listener.ae_title, auditor=auditor_of(settings))
