"""A stored document in, the figures that carried its findings out, and the words for a quantity. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from triage.measurements import figure_named
from triage.patterns.all import PATTERNS

# Quantities that say what changed, those that carry a call first (docs/method.md). All others rank behind them.
QUANTITY_WORDS = {
    "restricted_volume_ml": "restricted diffusion",
    "lesion_volume_ml": "lesions",
    "flair_change_percent": "FLAIR",
    "flair_excess_percent": "FLAIR above normal",
    "volume_change_percent": "volume",
    "adc_change_percent": "ADC",
}
UNITS_IN_NAMES = ("_percent", "_ml")


def evidence_figures(document: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    """(region, quantity) of every figure that the evidence of a present finding states."""
    lines = (
        line
        for finding in document.get("findings") or ()
        if finding["presence"] == "present"
        for line in finding["evidence"]
    )
    return frozenset(named for line in lines if (named := figure_named(line)) is not None)


def carrying(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The measured figures that the evidence of a present finding names, in the order of the document; of quantities
    that say what changed, or that the course of a pattern follows."""
    named = evidence_figures(document)
    told = {*QUANTITY_WORDS, *(figure.quantity for pattern in PATTERNS for figure in pattern.figures)}
    measured = [one for one in document.get("measurements") or () if one["value"] is not None]
    return [one for one in measured if one["quantity"] in told and (one["region"], one["quantity"]) in named]


def telling_rank(quantity: str) -> int:
    """Place of a quantity among those that say what changed, the first one lowest."""
    return list(QUANTITY_WORDS).index(quantity) if quantity in QUANTITY_WORDS else len(QUANTITY_WORDS)


def telling_order(one: Mapping[str, Any]) -> tuple[bool, int, float]:
    """Sorts measurements: the quantity that tells most first, of one quantity the largest change. One without an
    uncertainty stands behind the others."""
    return (not one["uncertainty"], telling_rank(one["quantity"]), -abs(one["value"]))


def quantity_words(quantity: str) -> str:
    """The quantity as a reader says it; by its name when it has no words: ``asymmetry_percent`` -> asymmetry."""
    plain = quantity
    for unit in UNITS_IN_NAMES:
        plain = plain.removesuffix(unit)
    return QUANTITY_WORDS.get(quantity, plain.replace("_", " "))


def is_total(one: Mapping[str, Any]) -> bool:
    """A sum of volumes over the whole brain: "lesions 7.7 mL" needs no site."""
    return bool(one["region"] == "brain" and one["quantity"].endswith("_ml"))
