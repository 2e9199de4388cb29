"""The numbers of the node in, the text that Prometheus scrapes out.

No patient, no UID: only counts, times and states.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric

from listener.meters import LATENCY_BOUNDS_S, MeterFolder, Numbers
from workers.heartbeat import heartbeat_file, silence_s
from workers.listing import files_in
from workers.log import brief, get_logger
from workers.ports import StudyIndex

log = get_logger(__name__)

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

COUNTERS = {
    "associations": ("associations accepted or refused", ""),
    "associations_refused": ("connections and associations refused", "reason"),
    "instances": ("objects taken: new, the same again, or in conflict with what is stored", "outcome"),
    "instances_refused": ("objects refused", "reason"),
    "bytes": ("bytes of the objects taken", ""),
}
GAUGES = {
    "associations_open": "associations that are open now",
    "index_rows_waiting": "objects that are acknowledged and not in the index yet",
    "index_incomplete": "1 while rows are missing in the index and a scan is due",
}
# the parts that ``/healthz`` can report as faulty
PARTS = ("index", "broker", "disk", "queue", "beat", "deliveries")


@dataclass(frozen=True)
class Health:
    """What the site's own check found (listener.web.health.health_of)."""

    problems: tuple[str, ...]
    free_bytes: int
    oldest_due_s: float
    due: int
    processes: Mapping[str, bool] = field(default_factory=dict)  # name -> whether it works
    # destination -> {"waiting", "dead", "oldest_s", "paused"}
    deliveries: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


def render(meters: Numbers | None, index: StudyIndex, health: Health, state_dir: Path) -> bytes:
    """One scrape. What cannot be asked now is left out; ``icansee_up`` says so."""

    class Everything:
        def collect(self) -> Iterator[Metric]:
            if meters is not None:
                yield from _door(meters)
            yield from _health(health, state_dir)
            yield from _deliveries(health)
            try:
                yield from list(_studies(index))
            except Exception as error:  # noqa: BLE001, RUF100 - also of a damaged database
                log.error("metrics.index", error=brief(error))

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Everything())
    return generate_latest(registry)


def _deliveries(health: Health) -> Iterator[Metric]:
    for key, name, text in (
        ("waiting", "icansee_deliveries_waiting", "outputs that a destination is to get"),
        ("dead", "icansee_deliveries_dead", "outputs that a destination did not take; they wait for a human"),
        ("held", "icansee_deliveries_held", "outputs that are held back until a person releases them"),
        ("unplanned", "icansee_deliveries_unplanned", "decisions that another node has still to plan for it"),
        ("oldest_s", "icansee_delivery_oldest_seconds", "waiting of the oldest output for a destination"),
        ("paused", "icansee_destination_paused", "1 while a destination that is away is left alone"),
        ("removed", "icansee_destination_removed", "1 while something waits for a destination that is not configured"),
    ):
        family = _family(name, text, "destination")
        for destination, facts in sorted(health.deliveries.items()):
            family.add_metric([destination], float(facts[key]))
        yield family


def _door(meters: Numbers) -> Iterator[Metric]:
    for name, (text, label) in COUNTERS.items():
        family = CounterMetricFamily(f"icansee_{name}", text, labels=[label] if label else None)
        if label:
            for key, value in sorted(meters.counts.items()):
                if key.partition(":")[0] == name:
                    family.add_metric([key.partition(":")[2]], value)
        else:
            family.add_metric([], meters.counts.get(name, 0))
        yield family
    for name, text in GAUGES.items():
        yield GaugeMetricFamily(f"icansee_{name}", text, value=meters.open.get(name, 0))
    buckets, total = [], 0
    for bound, number in zip([*LATENCY_BOUNDS_S, float("inf")], meters.latency, strict=True):
        total += number
        buckets.append(("+Inf" if bound == float("inf") else str(bound), float(total)))
    yield HistogramMetricFamily(
        "icansee_response_seconds",
        "from the end of a C-STORE request's command to its answer",
        buckets=buckets,
        sum_value=meters.latency_sum_s,
    )


def _health(health: Health, state_dir: Path) -> Iterator[Metric]:
    up = GaugeMetricFamily("icansee_up", "1 when this part answers", labels=["part"])
    for part in PARTS:
        up.add_metric([part], float(part not in health.problems))
    yield up
    works = GaugeMetricFamily("icansee_process_works", "1 when this process gives signs of life", labels=["process"])
    for name, well in sorted(health.processes.items()):
        works.add_metric([name], float(well))
    yield works
    yield GaugeMetricFamily("icansee_free_bytes", "free space where images are kept", value=health.free_bytes)
    yield GaugeMetricFamily("icansee_oldest_due_seconds", "waiting of the oldest due study", value=health.oldest_due_s)
    yield GaugeMetricFamily("icansee_studies_due", "studies that wait for a worker", value=health.due)
    age = silence_s(heartbeat_file(state_dir, "beat"))
    if age is not None:
        yield GaugeMetricFamily("icansee_beat_age_seconds", "since the beat last looked for arrivals", value=age)
    with suppress(OSError):
        waiting = len(files_in(state_dir / "commitments", ending=".json"))
        yield GaugeMetricFamily(
            "icansee_commitments_waiting", "storage commitment requests to be reported", value=waiting
        )


def _studies(index: StudyIndex) -> Iterable[Metric]:
    tallies = index.tallies()
    states, decisions = _family("icansee_studies", "studies by state", "state"), _decisions()
    by_state: dict[str, int] = {}
    by_decision: dict[tuple[str, str], int] = {}
    for (state, category, priority), number in tallies.items():
        by_state[state] = by_state.get(state, 0) + number
        if category:
            by_decision[category, priority] = by_decision.get((category, priority), 0) + number
    for state, number in sorted(by_state.items()):
        states.add_metric([state], number)
    for labels, number in sorted(by_decision.items()):
        decisions.add_metric(list(labels), number)
    conflicts = GaugeMetricFamily(
        "icansee_conflicts", "objects kept aside: other content under a known UID", value=len(index.conflicts())
    )
    outside = GaugeMetricFamily(
        "icansee_studies_not_looked_at", "studies of patients outside triage.cohort", value=index.not_looked_at()
    )
    return [states, decisions, conflicts, outside]


def _family(name: str, text: str, label: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, text, labels=[label])


def _decisions() -> GaugeMetricFamily:
    return GaugeMetricFamily("icansee_decisions", "studies by their newest decision", labels=["category", "priority"])


def door_numbers(state_dir: Path) -> Numbers | None:
    """What the listener on this state folder counted; None: it cannot be read now, or no listener has run here."""
    try:
        return MeterFolder(state_dir).total()
    except OSError as error:
        log.error("metrics.door", error=brief(error))
        return None
