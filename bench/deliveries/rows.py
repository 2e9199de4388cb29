"""How long every query of the deliveries takes among many rows."""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from tests.workers.index import postgres
from workers.delivery_ports import Acknowledgement, Decided, Delivery, DeliveryState
from workers.identities import PatientKey
from workers.index import migrations
from workers.index.deliveries import SqlDeliveries
from workers.index.schema import assessments, deliveries, open_engine, studies

DESTINATIONS = ("pacs", "ris", "archive", "dead")
REPEATS = 9
BAR_MS = 50.0
NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


@contextmanager
def backend(name: str) -> Iterator[str]:
    """The URL of an empty database."""
    if name == "sqlite":
        with tempfile.TemporaryDirectory() as folder:
            yield f"sqlite:///{Path(folder) / 'index.db'}"
        return
    with postgres.cluster() as socket_folder:
        yield postgres.empty_database(socket_folder)


def measured(name: str, rows: int) -> dict[str, float]:
    """Query -> median milliseconds of ``REPEATS``."""
    with backend(name) as url:
        engine = open_engine(url)
        migrations.prepare(engine, upgrade=False)
        table = SqlDeliveries(engine)
        fill(table, rows)
        try:
            return {what: _median_ms(work) for what, work in queries(table, rows // len(DESTINATIONS))}
        finally:
            engine.dispose()


def fill(table: SqlDeliveries, rows: int) -> None:
    """One decision of each study to every destination: most are done, the dead destination has a backlog."""
    chance = random.Random(1)
    table.register(DESTINATIONS, since=NOW)
    some = rows // len(DESTINATIONS)
    states = ("done",) * 94 + ("planned",) * 3 + ("dead", "superseded", "discarded")
    batch: list[dict[str, object]] = []
    with table._engine.begin() as connection:
        for number in range(some):
            uid, when = f"1.2.{number}", NOW - timedelta(seconds=some - number)
            connection.execute(
                sa.insert(assessments).values(
                    study_instance_uid=uid, revision=1, stage="full", stage_rank=1, created_at=when, superseded=False,
                    document={"decision": {"priority": "P2"}}, planned_at=when if number < some - 50 else None,
                )
            )  # fmt: skip
            connection.execute(
                sa.insert(studies).values(
                    study_instance_uid=uid, patient_id=f"P{number}", issuer="", sex="", study_time="",
                    accession_number=f"A{number}", state="assessed", revision=1, instance_count=1, series_count=1,
                    first_received_at=when, last_received_at=when, attempts=0,
                )
            )  # fmt: skip
            for destination in DESTINATIONS:
                state = chance.choice(states if destination != "dead" else ("planned", "dead"))
                batch.append(
                    {
                        "study_instance_uid": uid, "revision": 1, "stage": "full", "output": "oru", "sequence": 3,
                        "destination": destination, "urgency": chance.randint(1, 4), "shadow": False, "state": state,
                        "due_at": when, "attempts": 1, "planned_at": when,
                        "done_at": when if state == "done" else None, "answer": "AA", "size_bytes": 1000,
                    }
                )  # fmt: skip
            if len(batch) >= 4000:
                connection.execute(sa.insert(deliveries), batch)
                batch.clear()
        if batch:
            connection.execute(sa.insert(deliveries), batch)
    with table._engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()


def queries(table: SqlDeliveries, some: int) -> Iterator[tuple[str, Callable[[], object]]]:
    """Every query of the port, with the arguments that the program gives it."""
    fresh = iter(range(10**6, 10**9))
    uid = f"1.2.{some // 2}"

    def plan() -> None:
        decided = Decided(f"1.3.{next(fresh)}", 1, "full")
        table.plan(decided, [Delivery(decided, "oru", to, due_at=NOW) for to in DESTINATIONS], now=NOW)

    def take_and_settle() -> None:
        taken = table.take("pacs", owner="me", now=NOW, for_s=300, longest_s=300)
        assert taken is not None
        table.settle(replace(taken, state=DeliveryState.DONE), now=NOW)

    yield "take, nothing due", lambda: table.take("nobody", owner="me", now=NOW, for_s=300, longest_s=300)
    yield "take and settle", take_and_settle
    yield "plan", plan
    yield "unplanned", lambda: table.unplanned(limit=100)
    yield "hold", lambda: table.hold("pacs", owner="me", now=NOW, for_s=60)
    yield "known", lambda: table.known("pacs")
    yield "free", lambda: table.free(now=NOW, for_s=300)
    yield "pause", lambda: table.pause("pacs", failures=0, until=None)
    yield "expire, nothing old", lambda: table.expire("pacs", before=NOW - timedelta(days=99), why="away", now=NOW)
    yield "tallies", lambda: table.tallies(ended=False)
    yield "oldest_open", table.oldest_open
    yield "list", table.listed
    yield "list --state dead --to dead", lambda: table.listed(states=[DeliveryState.DEAD], destination="dead")
    yield "list --state discarded", lambda: table.listed(states=[DeliveryState.DISCARDED])
    yield "list --to ris", lambda: table.listed(destination="ris")
    yield "list --study", lambda: table.listed(study_instance_uid=uid)
    yield "shadow-report", lambda: table.listed(shadow=True, limit=1000)
    yield "show", lambda: table.one(some)
    yield "delivered", lambda: table.delivered(uid, 1)
    yield "acknowledge", lambda: table.acknowledge(Acknowledgement(uid, "me", NOW))
    yield "acknowledged", lambda: table.acknowledged(uid)
    yield "studies_meant", lambda: table.studies_meant("", ["A77", "B"], [PatientKey("P77", "")])
    yield "discard", lambda: table.discard([next(fresh) - 10**6 + 1], why="x", now=NOW)
    yield "retry of 200", lambda: table.retry([next(fresh) - 10**6 + 1 for _ in range(200)], now=NOW)


def _median_ms(work: Callable[[], object]) -> float:
    work()  # connection and plan
    found = []
    for _ in range(REPEATS):
        begun = time.perf_counter()
        work()
        found.append(1000 * (time.perf_counter() - begun))
    return sorted(found)[len(found) // 2]
