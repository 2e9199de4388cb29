"""Numbers of several processes, added, and the text of a scrape."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from listener.meters import LATENCY_BOUNDS_S, Meter, MeterFolder, add
from listener.web.metrics import Health, door_numbers, render
from tests.fake_index import InMemoryIndex
from tests.fakes import SUSPECTED
from tests.listener.harness import eventually, running
from tests.listener.rawscu import Raw
from tests.listener.web.test_app import Node as Site
from tests.workers.reading.data_sets import STUDY, a_data_set, encoded

WELL = Health((), 10**9, 0.0, 0)


def scraped(text: bytes) -> dict[tuple[str, str], float]:
    """(name, labels) -> value."""
    return {
        (sample.name, ",".join(f"{k}={v}" for k, v in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def a_meter(instances: int) -> Meter:
    meter = Meter()
    meter.set("associations_open", 2)
    for _ in range(instances):
        meter.stored("new", 100, 0.003)
    return meter


def test_the_dead_keep_what_they_counted_and_hold_nothing_open(tmp_path: Path) -> None:
    folder = MeterFolder(tmp_path)
    folder.begin()
    folder.write(a_meter(3))
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    (tmp_path / "run/meters" / f"{os.getpid()}.json").rename(tmp_path / "run/meters" / f"{dead.pid}.json")
    folder.write(a_meter(4))
    before = folder.total()
    assert (before.counts["instances:new"], before.open["associations_open"]) == (7, 2)
    folder.add_finished_process(dead.pid)
    folder.add_finished_process(dead.pid)
    assert folder.total() == before
    folder.begin()
    assert folder.total() == add([])


def test_many_die_at_the_same_moment(tmp_path: Path) -> None:
    folder = MeterFolder(tmp_path)
    folder.begin()
    pids = range(10_000_000, 10_000_200)  # above what Linux gives out
    for pid in pids:
        folder.write(a_meter(3))
        (tmp_path / "run/meters" / f"{os.getpid()}.json").rename(tmp_path / "run/meters" / f"{pid}.json")
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(folder.add_finished_process, pids))
    assert folder.total().counts["instances:new"] == 3 * len(pids)
    assert [path.name for path in (tmp_path / "run/meters").iterdir()] == ["dead.json"]


def test_a_scrape(tmp_path: Path) -> None:
    meter = a_meter(3)
    meter.count("associations")
    meter.count("associations_refused:calling_ae_not_listed", 2)
    meter.stored("conflict", 50, 99.0)
    found = scraped(render(meter.numbers(), InMemoryIndex(), WELL, tmp_path))
    assert found["icansee_instances_total", "outcome=new"] == 3
    assert found["icansee_instances_total", "outcome=conflict"] == 1
    assert found["icansee_bytes_total", ""] == 350
    assert found["icansee_associations_refused_total", "reason=calling_ae_not_listed"] == 2
    assert found["icansee_associations_open", ""] == 2
    buckets = [found["icansee_response_seconds_bucket", f"le={bound}"] for bound in LATENCY_BOUNDS_S]
    assert buckets == [0.0] * 3 + [3.0] * (len(buckets) - 3)
    assert found["icansee_response_seconds_count", ""] == 4
    assert found["icansee_up", "part=index"] == 1


def test_the_site_answers_with_studies_and_health(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.decided("1.2.3", SUSPECTED)
    site.waiting("1.2.4")
    site.broker_away = True
    answer = site.client.get("/metrics")
    found = scraped(answer.content)
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert found["icansee_studies", "state=ready"] == 1
    assert found["icansee_decisions", "category=neurotoxicity_suspected,priority=P1"] == 1
    assert found["icansee_up", "part=broker"] == 0
    assert found["icansee_studies_due", ""] == 1
    assert "1.2.3" not in answer.text
    site.index.away = True
    found = scraped(site.client.get("/metrics").content)
    assert found["icansee_up", "part=index"] == 0
    assert ("icansee_studies", "state=ready") not in found


@pytest.mark.parametrize("processes", [1, 2])
def test_the_door_counts(tmp_path: Path, processes: int) -> None:
    with running(tmp_path, processes=processes) as node:
        with Raw.connect(node.port) as raw:
            raw.associate()
            for number in range(3):
                assert raw.store(f"{STUDY}.1.{number}", encoded(a_data_set(number))) == 0
            assert raw.store("1.2.3", encoded(a_data_set(1))) == 0xA900
            eventually(lambda: door_numbers(tmp_path).open.get("associations_open") == 1)
        with pytest.raises(ConnectionError), Raw.connect(node.port) as raw:
            raw.associate(called="OTHER")
        wanted = {
            "associations": 2,
            "associations_refused:called_ae_not_ours": 1,
            "instances:new": 3,
            "instances_refused:uid_mismatch": 1,
        }
        # each process writes its numbers once a second
        eventually(lambda: {name: door_numbers(tmp_path).counts.get(name) for name in wanted} == wanted)
        assert sum(door_numbers(tmp_path).latency) == 3
        eventually(lambda: door_numbers(tmp_path).open.get("associations_open") == 0)
