"""A stored decision in, its figures as the study page shows them out: words, bars, places, and what was not assessed.
Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from listener.web.study_limits import limit_of
from triage.report.figures import quantity_words
from triage.settings import CommonSettings

Document = Mapping[str, Any]
Index = Mapping[str, Any]

# quantity -> short words of a column, in the order of the table
QUANTITIES = {
    "flair_change_percent": "FLAIR change",
    "flair_excess_percent": "FLAIR above normal",
    "flair_ratio": "FLAIR ratio",
    "volume_change_percent": "Volume change",
    "adc_change_percent": "ADC change",
    "restricted_volume_ml": "Restricted",
    "lesion_volume_ml": "Lesions",
    "enhancing_volume_ml": "Enhancing",
    "csf_flair_change_percent": "FLAIR of fluid",
}
FIRST_REGIONS = (
    "thalamus_left", "thalamus_right", "midbrain", "pons", "medulla", "external_extreme_capsule_left",
    "external_extreme_capsule_right", "white_matter_left", "white_matter_right", "brain", "cortex",
)  # fmt: skip
PLACES_OF = {
    "restricted_volume_ml": "restricted",
    "enhancing_volume_ml": "enhancing",
    "lesion_volume_ml": "new_lesions",
}
BAR_PERCENT = 50.0  # half the width of a bar
MOST_LINES = 400


def region_words(region: str) -> str:
    """thalamus_left -> left thalamus."""
    for side in ("left", "right"):
        if region.endswith(f"_{side}"):
            return f"{side} {_plain(region.removesuffix(f'_{side}'))}"
    return _plain(region)


def _plain(region: str) -> str:
    return region.replace("external_extreme", "external/extreme").replace("_", " ")


def without_side(region: str) -> str:
    """thalamus_left -> thalamus."""
    return str(region).removesuffix("_left").removesuffix("_right")


def quantity_title(quantity: str) -> str:
    """As the columns of the pages name it."""
    return QUANTITIES.get(quantity) or quantity_words(quantity)


def places_of(index: Index | None) -> dict[str, str]:
    """Region, ``new_lesions 3`` or ``restricted`` -> its place, mm along head, back, left, as the viewer reads it."""
    if index is None:
        return {}
    found = {str(one["name"]): _place(one["place_mm"]) for one in index.get("regions", ())}
    for name, mask in index.get("masks", {}).items():
        for number, place in mask["places_mm"].items():
            found[f"{name} {number}"] = _place(place)
            found.setdefault(name, _place(place))
    return found


def _place(values: Iterable[float]) -> str:
    return " ".join(f"{value:g}" for value in values)


def lines_of(document: Document, index: Index | None, limits: CommonSettings | None) -> list[dict[str, Any]]:
    """The measurement table: one line for each region and quantity that has words, those of the patterns first.

    ``main``: it is held against a limit, or belongs to the regions that are always shown.
    """
    places, protocol = places_of(index), (document.get("judged") or {}).get("protocol")
    order = {name: number for number, name in enumerate(FIRST_REGIONS)}
    shown = [m for m in document["measurements"] if m["quantity"] in QUANTITIES and m["assessable"]]
    kinds = list(QUANTITIES)
    shown.sort(key=lambda m: (kinds.index(m["quantity"]), order.get(m["region"], len(order))))
    lines = []
    for m in shown[:MOST_LINES]:
        limit = None if limits is None else limit_of(m["region"], m["quantity"], protocol, limits)
        lines.append(
            {
                "measurement": m,
                "words": region_words(m["region"]),
                "quantity": QUANTITIES[m["quantity"]],
                "value": value_words(m),
                "place": places.get(m["region"]) or places.get(PLACES_OF.get(m["quantity"], "")),
                "limit": None if limit is None else f"{limit:+g} {m['unit']}".replace("-", "−"),
                "over": _over(m, limit),
                "bar": bar(m, limit),
                "main": limit is not None or (m["region"] in order and bool(m["value"])),
            }
        )
    return lines


def value_words(m: Mapping[str, Any]) -> str:
    """A figure with its spread: changes with their sign and one decimal, ratios with two, volumes with up to two."""
    value, sd, unit = m["value"], m["uncertainty"], str(m["unit"])
    if value is None:
        return "not measured"
    if unit.startswith("%"):
        words, spread = f"{value:+.1f}", f"{sd or 0:.1f}"
    elif unit == "um2/s":
        words, spread = f"{value:.0f}", f"{sd or 0:.0f}"
    else:
        words, spread = f"{value:.2f}", f"{sd or 0:.2f}"
    return (words + ("" if sd is None else f" ± {spread}") + ("" if unit == "1" else f" {unit}")).replace("-", "−")


def _over(m: Mapping[str, Any], limit: float | None) -> bool:
    if limit is None or m["value"] is None:
        return False
    return bool(m["value"] >= limit if limit > 0 else m["value"] <= limit)


def bar(m: Mapping[str, Any], limit: float | None) -> dict[str, float] | None:
    """A figure in percent as a bar of 100 units with its middle at 50: from, to, spread from, spread to, limit."""
    if m["unit"] != "%" or m["value"] is None:
        return None

    def at(value: float) -> float:
        return round(50 + 50 * min(1.0, max(-1.0, value / BAR_PERCENT)), 2)

    value, sd = float(m["value"]), float(m["uncertainty"] or 0.0)
    drawn = {"from": min(at(0), at(value)), "to": max(at(0), at(value)), "low": at(value - sd), "high": at(value + sd)}
    return drawn if limit is None else {**drawn, "limit": at(limit)}


def other_figures(document: Document) -> list[Mapping[str, Any]]:
    """What the table leaves out, as it is stored."""
    return [m for m in document["measurements"] if m["quantity"] not in QUANTITIES and m["assessable"]][:MOST_LINES]


def not_assessed(document: Document) -> list[dict[str, Any]]:
    """What was not assessed, by reason: patterns, regions, series and single objects."""
    found: dict[str, dict[str, None]] = {}
    for finding in document["findings"]:
        if finding["presence"] == "indeterminate":
            found.setdefault(str(finding["explanation"]), {})[f"pattern {finding['pattern']}"] = None
    for m in document["measurements"]:
        if not m["assessable"]:
            reason = str(m["reason"] or "no reason given").replace("_", " ")
            words = QUANTITIES.get(m["quantity"], m["quantity"].replace("_", " "))
            found.setdefault(reason, {})[f"{region_words(m['region'])} ({words})"] = None
    for series in document["series"]:
        if series["used_as"] is None:
            reason = "; ".join(map(str, series["reasons"])) or "no reason given"
            found.setdefault(reason, {})[f"series of kind {series['kind']}"] = None
    for ignored in document.get("ignored") or ():
        found.setdefault(ignored["message"], {})["objects of the study"] = None
    return [{"reason": reason, "what": list(what)} for reason, what in found.items()]


def lesion_lines(document: Document, index: Index | None) -> list[dict[str, Any]]:
    """The lesions, each with its place."""
    places = places_of(index)
    return [
        {"lesion": one, "site": region_words(one["site"]), "place": places.get(f"new_lesions {one['number']}")}
        for one in document.get("lesions") or ()
    ]
