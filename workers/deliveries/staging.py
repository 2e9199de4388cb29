"""A decision and what is in shadow mode in, why it is not sent out.

The site, a destination, a scanner, a pattern and a rule are each in shadow mode by the settings, until a person
releases them. Everything is computed and listed meanwhile. A scanner and a pattern concern decisions; images go out all
the same.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from workers.delivery_ports import Deliveries, Delivery, Released, ShadowKind, released_by
from workers.destination_settings import DestinationSettings
from workers.output_kinds import KINDS
from workers.result_settings import ResultsSettings, ScannerStage

SITE = (ShadowKind.SITE, "")
SAYS_WRONG = tuple(kind.name for kind in KINDS if kind.says_wrong)


@dataclass(frozen=True)
class ScannerFacts:
    """Where the images of a study come from, as far as they say so. ae_titles: of their senders."""

    ae_titles: Collection[str] = ()
    device_serial: str = ""
    station: str = ""
    institution: str = ""


def shadow_at(destination: DestinationSettings, results: ResultsSettings, released: Released) -> list[str]:
    """Why nothing is sent there at all: the site, the destination; empty: it is sent."""
    site = ["the site"] if results.shadow and SITE not in released else []
    own = destination.shadow and (ShadowKind.DESTINATION, destination.name) not in released
    return [*site, *([f"destination {destination.name}"] if own else [])]


def shadow_since(
    destination: DestinationSettings, results: ResultsSettings, deliveries: Deliveries, waits: Delivery
) -> str:
    """Why something that was planned to be sent is not: the site or the destination came into shadow mode meanwhile;
    empty: it is sent. What takes something back always goes, and a person who releases a delivery has decided.

    Raises:
        Transient: the index is away.
    """
    may_be = results.shadow or destination.shadow
    if not may_be or waits.shadow or waits.released_by is not None or waits.output in SAYS_WRONG:
        return ""
    return ", ".join(shadow_at(destination, results, released_by(deliveries.releases())))


def scanners_in_shadow(results: ResultsSettings, released: Released) -> list[ScannerStage]:
    """Those that nobody released."""
    return [one for one in results.shadow_scanners if (ShadowKind.SCANNER, one.name) not in released]


def patterns_in_shadow(results: ResultsSettings, released: Released) -> list[str]:
    return [name for name in results.shadow_patterns if (ShadowKind.PATTERN, name) not in released]


def shadow_of_scanner(stages: Collection[ScannerStage], scanner: ScannerFacts) -> list[str]:
    """Why the decisions of this scanner are not sent. One that the images do not name is in no shadow mode."""
    return [f"scanner {one.name}" for one in stages if _fits(one, scanner)]


def _fits(stage: ScannerStage, scanner: ScannerFacts) -> bool:
    wanted = (
        (stage.device_serial, scanner.device_serial),
        (stage.station, scanner.station),
        (stage.institution, scanner.institution),
    )
    return (stage.ae_title is None or stage.ae_title in scanner.ae_titles) and all(
        value is None or value == found for value, found in wanted
    )


def shadow_of_patterns(names: Collection[str], document: Mapping[str, Any]) -> list[str]:
    """Why a decision is not sent that only such patterns carry. One that another pattern carries, and one that shows no
    pattern, is sent whole."""
    present = {one["pattern"] for one in document.get("findings", ()) if one["presence"] == "present"}
    return [f"pattern {name}" for name in sorted(present)] if present and present <= set(names) else []
