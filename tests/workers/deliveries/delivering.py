"""Parts of a delivery process over a real index on SQLite, with a toy output and fake destinations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from tests.fakes import NOON, FakeClock
from tests.fakes_deliveries import FakeDestination
from workers.config import parse
from workers.deliveries.process import plan_new, take_up
from workers.deliveries.sending import Delivering, DeliverySender
from workers.delivery_ports import Decided, Delivery
from workers.index import migrations
from workers.index.deliveries import SqlDeliveries
from workers.index.schema import assessments, open_engine
from workers.outputs.output import EvidenceFiles, Output

FULL = Decided("1.2.3", 1, "full")
FIRST = Decided("1.2.3", 1, "first_look")


def toy(document: Mapping[str, Any], evidence: EvidenceFiles) -> bytes:
    return f"{document['decision']['priority']} {len(evidence)}".encode()


TOY = Output("document", "toy.txt", "text/plain", toy)
NEVER = Output("seg", "seg.dcm", "application/dicom", toy, applies=lambda _document, _evidence: False)


class Site:
    """A node that delivers, one step at a time. chance 0: no pause is shortened."""

    def __init__(self, folder: Path, names: tuple[str, ...] = ("pacs",), **results: Any) -> None:
        one = {"kind": "folder", "path": "/nowhere", "outputs": ["document"]}
        if results.pop("alert", False):
            one = {"kind": "webhook", "url": "http://127.0.0.1/", "key_file": "/nowhere"}
        own, owner = results.pop("own", {}), results.pop("owner", "node")
        wanted = [{**one, "name": name, **own} for name in names]
        self.results = parse({"results": {"destinations": wanted, "first_pause_s": 10, **results}}).results
        engine = open_engine(f"sqlite:///{folder / 'index.db'}")
        migrations.prepare(engine, upgrade=False)
        self.deliveries, self.clock, self.evidence = SqlDeliveries(engine), FakeClock(), dict[str, bytes]()
        self.fault: Exception | None = None
        self.parts = Delivering(
            deliveries=self.deliveries,
            document=lambda _decided: {"decision": {"priority": "P1"}},
            evidence=self._evidence,
            outputs={output.kind: output for output in (TOY, NEVER, replace(TOY, kind="webhook"))},
            clock=self.clock,
            results=self.results,
            owner=owner,
            chance=lambda: 0.0,
        )
        self.destinations = {name: FakeDestination() for name in names}
        take_up(self.parts)
        self.senders = {name: DeliverySender(name, end, self.parts) for name, end in self.destinations.items()}

    def decide(self, decided: Decided = FULL, *, at: datetime = NOON, priority: str = "P1") -> None:
        """A stored decision, and its plan."""
        with self.deliveries._engine.begin() as connection:
            connection.execute(
                sa.insert(assessments).values(
                    study_instance_uid=decided.study_instance_uid, revision=decided.revision, stage=decided.stage,
                    stage_rank=int(decided.stage == "full"), created_at=at, superseded=False,
                    document={"decision": {"priority": priority}},
                )
            )  # fmt: skip
        plan_new(self.parts)

    def step(self, name: str = "pacs", times: int = 1) -> None:
        for _ in range(times):
            self.senders[name].step()

    def row(self, name: str = "pacs") -> Delivery:
        """The newest one."""
        return self.deliveries.listed(destination=name)[0]

    def got(self, name: str = "pacs") -> list[str]:
        return [f"r{one.decided.revision} {one.decided.stage}" for one, *_ in self.destinations[name].got]

    def _evidence(self, _decided: Decided) -> EvidenceFiles:
        if self.fault is not None:
            raise self.fault
        return self.evidence
