"""What only the sending side knows, as files of the evidence: what went out before, and the zone of the site.

They are made when an output is rendered (workers.deliveries.beside) and never stored with the decision.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import tzinfo
from zoneinfo import ZoneInfo

from workers.outputs.output import EvidenceFiles

WENT_OUT, SITE_ZONE = "went_out.json", "site_zone.txt"


@dataclass(frozen=True)
class WentOut:
    """kinds: outputs of this decision that the receiver has, or may have; None: nobody knows. report: revision and
    stage of the newest earlier decision whose report somebody has; None: nobody has one."""

    kinds: frozenset[str] | None = None
    report: tuple[int, str] | None = None


def went_out_json(said: WentOut) -> bytes:
    return json.dumps({"kinds": None if said.kinds is None else sorted(said.kinds), "report": said.report}).encode()


def went_out(evidence: EvidenceFiles) -> WentOut:
    content = evidence.get(WENT_OUT)
    if content is None:
        return WentOut()
    said = json.loads(content)
    kinds, report = said["kinds"], said["report"]
    return WentOut(
        None if kinds is None else frozenset(kinds), None if report is None else (int(report[0]), str(report[1]))
    )


def site_zone(evidence: EvidenceFiles) -> tzinfo | None:
    """None: it is not known."""
    name = evidence.get(SITE_ZONE, b"").decode()
    return ZoneInfo(name) if name else None
