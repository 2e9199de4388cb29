"""A stored decision and what is known around it in, what the study page shows out. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from string import Formatter
from typing import Any
from urllib.parse import quote

from listener.web.study_limits import limit_of
from triage.report.figures import quantity_words
from triage.settings import CommonSettings
from workers.act_ports import Act

Document = Mapping[str, Any]
Index = Mapping[str, Any]


@dataclass(frozen=True)
class Around:
    """What is known beside a document.

    viewer: of ``listener.web.viewer_api.viewer_index``; None: no volumes to show. versions: all decisions of the study,
    oldest first. deliveries: of ``delivery_facts``. links: (words, address) of other viewers. limits: the settings of
    the measurement; None: not known. digest: of the configuration that is in force.
    acts: what readers said. zone: of the site; None: of this machine. older: the name of the version, when it is not
    the newest.
    """

    viewer: Index | None = None
    versions: Sequence[Mapping[str, Any]] = ()
    deliveries: Sequence[Mapping[str, Any]] = ()
    links: Sequence[tuple[str, str]] = ()
    limits: CommonSettings | None = None
    digest: str | None = None
    acts: Sequence[Act] = ()
    zone: tzinfo | None = None
    older: str | None = None


ALONE = Around()

CATEGORIES = {
    "neurotoxicity_suspected": "Neurotoxicity suspected",
    "possible": "Possible neurotoxicity",
    "no_pattern": "No pattern found",
    "not_assessable": "Not assessable",
}
PANELS = (  # title of the row; volume, words, whether it belongs to the first picture
    ("", (("baseline", "Baseline", True), ("followup", "Follow-up", True), ("difference", "Difference", True))),
    (
        "Diffusion",
        (
            ("baseline_dwi", "Diffusion-weighted, baseline", False),
            ("dwi", "Diffusion-weighted", False),
            ("baseline_adc", "ADC, baseline", False),
            ("adc", "ADC", False),
        ),
    ),
    (
        "Contrast",
        (
            ("baseline_t1", "T1, baseline", False),
            ("t1", "T1", False),
            ("baseline_t1_gd", "T1 after contrast, baseline", False),
            ("t1_gd", "T1 after contrast", False),
        ),
    ),
)
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


# what the page says of its keys; listener/web/static/viewer/viewer.js has them
VIEW_KEYS = (
    (("j", "k"), "slice down, slice up; with Shift five slices"),
    (("1", "2", "3"), "axial, coronal, sagittal"),
    (("e", "E"), "next, previous figure or lesion: its slice"),
    (("o", "O"), "outlines of the main regions, of all regions"),
    (("l",), "outlines of lesions, enhancing and restricted tissue"),
    (("[", "]"), "narrower, wider window"),
    ((",", "."), "darker, brighter"),
    (("+", "-"), "zoom"),
    (("x",), "cross at the same point of all planes"),
    (("0",), "window, zoom and place as at the start"),
)


def values(document: Document, around: Around) -> dict[str, Any]:
    """All that ``study.html`` shows but the picture."""
    index, limits = around.viewer, around.limits
    lines = lines_of(document, index, limits)
    own = (document.get("versions") or {}).get("config_sha256")
    return {
        "document": document,
        "headline": verdict_words(document),
        "viewer": None if index is None else {**index, "start_mm": start_of(document, index)},
        "panel_rows": [] if index is None else panel_rows(index),
        "view_keys": VIEW_KEYS,
        "lesions": lesion_lines(document, index),
        "lines": [line for line in lines if line["main"]],
        "more_lines": [line for line in lines if not line["main"]],
        "other_limits": limits is not None and around.digest is not None and own != around.digest,
        "others": other_figures(document),
        "not_assessed": not_assessed(document),
        "versions": versions_of(around.versions, around.zone),
        "older": around.older,
        "shown": around.older or next((_name(one) for one in reversed(around.versions)), ""),
        "in_force": None if around.digest is None else own == around.digest,
        "deliveries": around.deliveries,
        "links": around.links,
        "acts": [(one, clock_words(one.at, around.zone)) for one in around.acts],
        "seen": around.versions[-1] if around.versions else None,
    }


def links_of(viewers: Mapping[str, str], document: Document, accession_number: str) -> list[tuple[str, str]]:
    """The addresses of other viewers for this study; one that needs what is not known is left out."""
    known = {
        "study_instance_uid": document["study"]["study_instance_uid"],
        "baseline_study_instance_uid": (document["baseline"] or {}).get("study_instance_uid"),
        "accession_number": accession_number,
        "patient_id": document["study"]["patient_id"],
    }
    filled = {field: quote(str(value), safe="") for field, value in known.items() if value}
    found = []
    for name, address in viewers.items():
        wanted = {field for _, field, _, _ in Formatter().parse(address) if field is not None}
        if wanted <= set(filled):
            found.append((name, address.format_map(filled)))
    return found


def verdict_words(document: Document) -> str:
    """The category, and the patterns that are present with their strength."""
    decision = document["decision"]
    words = CATEGORIES.get(str(decision["category"]), str(decision["category"]))
    found = [f"pattern {f['pattern']} {f['strength'] or ''}".strip() for f in document["findings"] if _present(f)]
    return words + (f": {', '.join(found)}" if found else "")


def _present(finding: Mapping[str, Any]) -> bool:
    return bool(finding["presence"] == "present")


def region_words(region: str) -> str:
    """thalamus_left -> left thalamus."""
    for side in ("left", "right"):
        if region.endswith(f"_{side}"):
            return f"{side} {_plain(region.removesuffix(f'_{side}'))}"
    return _plain(region)


def _plain(region: str) -> str:
    return region.replace("external_extreme", "external/extreme").replace("_", " ")


def quantity_title(quantity: str) -> str:
    """As the columns of the pages name it."""
    return QUANTITIES.get(quantity) or quantity_words(quantity)


def strongest(document: Document) -> str | None:
    """The region that the first present finding names first in its evidence."""
    for finding in document["findings"]:
        if _present(finding):
            for line in finding["evidence"]:
                return str(line).partition("/")[0]
    return None


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


def start_of(document: Document, index: Index) -> list[float]:
    """Where the viewer opens: the strongest region, the first lesion, the thalami, or the middle."""
    places = places_of(index)
    wanted = (strongest(document), "restricted", "new_lesions", "thalamus_left")
    found = next((places[one] for one in wanted if one is not None and one in places), None)
    if found is not None:
        return [float(value) for value in found.split()]
    frame = index["frame"]
    return [(count // 2) * mm for count, mm in zip(frame["shape"], frame["spacing_mm"], strict=True)]


def panel_rows(index: Index) -> list[dict[str, Any]]:
    """The rows of pictures for the volumes that are there."""
    there = {one["name"] for one in index["volumes"]}
    rows = []
    for title, panels in PANELS:
        shown = [{"volume": v, "title": words, "first": first} for v, words, first in panels if v in there]
        if shown:
            rows.append({"title": title, "panels": shown})
    return rows


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


def clock_words(when: datetime | str | None, zone: tzinfo | None) -> str:
    """A time in the site's zone, with the name of the zone; what is no time stays as it is."""
    try:
        at = datetime.fromisoformat(when) if isinstance(when, str) else when
    except ValueError:
        return str(when)
    return "" if at is None else at.astimezone(zone).strftime("%Y-%m-%d %H:%M %Z")


def _name(one: Mapping[str, Any]) -> str:
    return f"r{one['revision']}-{one['stage']}"


def without_side(region: str) -> str:
    """thalamus_left -> thalamus."""
    return str(region).removesuffix("_left").removesuffix("_right")


def versions_of(versions: Sequence[Mapping[str, Any]], zone: tzinfo | None) -> list[dict[str, Any]]:
    """Each decision of the study, newest first, and what changed since the one before."""
    out, before = [], None
    for one in versions:
        document = one["document"]
        out.append(
            {
                "version": f"r{one['revision']}, {str(one['stage']).replace('_', ' ')}",
                "name": _name(one),
                "at": clock_words(document.get("decided_at") or one.get("created_at"), zone),
                "headline": verdict_words(document),
                "priority": document["decision"]["priority"],
                "changes": ["first decision"] if before is None else changes(before, document),
            }
        )
        before = document
    return out[::-1]


def changes(before: Document, now: Document) -> list[str]:
    """What differs between two decisions of a study, in words; never empty."""
    out = []
    for key in ("category", "priority"):
        old, new = before["decision"][key], now["decision"][key]
        if old != new:
            out.append(f"{key}: {old} → {new}".replace("_", " "))
    was = {f["pattern"]: _state(f) for f in before["findings"]}
    for finding in now["findings"]:
        old, new = was.get(finding["pattern"], "not looked for"), _state(finding)
        if old != new:
            out.append(f"pattern {finding['pattern']}: {old} → {new}")
    for what, key in (("baseline", "baseline"), ("configuration", "versions"), ("images", "images")):
        old, new = _short(before, key), _short(now, key)
        if old != new:
            out.append(f"{what}: {old} → {new}")
    more = len(now["measurements"]) - len(before["measurements"])
    if more:
        out.append(f"{abs(more)} figures {'more' if more > 0 else 'fewer'}")
    return out or ["the figures only"]


def _state(finding: Mapping[str, Any]) -> str:
    return str(finding["strength"] or finding["presence"])


def _short(document: Document, key: str) -> str:
    value = document.get(key)
    if key == "baseline":
        return str(value["study_date"] or "undated") if value and value.get("study_instance_uid") else "none"
    if key == "versions":
        return str((value or {}).get("config_sha256", "unknown"))[:12]
    return "unknown" if value is None else str(value)
