"""A stored decision and what is known around it in, what the study page shows out. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from string import Formatter
from typing import Any
from urllib.parse import quote

from listener.web.lines import ENDED, name_words
from listener.web.study_figures import Document, Index, lesion_lines, lines_of, not_assessed, other_figures, places_of
from listener.web.study_versions import clock_words, is_present, verdict_words, version_name, versions_of
from triage.report.headline import pattern_title, strongest_figures
from triage.settings import CommonSettings
from workers.act_ports import LONGEST_NOTE, Act
from workers.delivery_ports import Acknowledgement, Decided
from workers.ports import StudyRow, StudyState


@dataclass(frozen=True)
class Around:
    """What is known beside a document.

    viewer: of ``listener.web.viewer_api.viewer_index``; None: no volumes to show. versions: all decisions of the study,
    oldest first. deliveries: of ``delivery_facts``. links: (words, address) of other viewers. limits: the settings of
    the measurement; None: not known. digest: of the configuration that is in force.
    acts: what readers said. acknowledged: who acknowledged any decision of the study, oldest first. said_of_older:
    the reader has just said something about a decision that is not the newest any more. zone: of the site; None: of
    this machine. older: the name of the version, when it is not the newest. row: what the index knows of the study;
    None: nothing. now: None without a row. written: false while the pictures and volumes of a young decision may come.
    """

    viewer: Index | None = None
    versions: Sequence[Mapping[str, Any]] = ()
    deliveries: Sequence[Mapping[str, Any]] = ()
    links: Sequence[tuple[str, str]] = ()
    limits: CommonSettings | None = None
    digest: str | None = None
    acts: Sequence[Act] = ()
    acknowledged: Sequence[Acknowledgement] = ()
    said_of_older: bool = False
    zone: tzinfo | None = None
    older: str | None = None
    row: StudyRow | None = None
    now: datetime | None = None
    written: bool = True


ALONE = Around()
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
# what the page says of its keys; listener/web/static/viewer/viewer.js has them
VIEW_KEYS = (
    (("j", "k"), "slice down, slice up; with Shift five slices"),
    (("1", "2", "3"), "axial, coronal, sagittal"),
    (("e", "E"), "next, previous figure or lesion: its slice"),
    (("o", "O"), "outlines of the main regions, of all regions"),
    (("l",), "outlines of lesions, enhancing and restricted tissue"),
    (("w", "W"), "the next, previous kind of pictures: their window is changed"),
    (("[", "]"), "narrower, wider window"),
    ((",", "."), "darker, brighter"),
    (("+", "-"), "zoom"),
    (("Shift ← ↑ ↓ →",), "move what is enlarged"),
    (("x",), "cross at the same point of all planes"),
    (("0",), "window, zoom and place as at the start"),
)
# the same without dragging and without keys: what the viewer does, with which numbers, in words, and its key
VIEW_BUTTONS = (
    ("window", "-0.1 0", "narrower", "["),
    ("window", "0.1 0", "wider", "]"),
    ("window", "0 -0.05", "darker", ","),
    ("window", "0 0.05", "brighter", "."),
    ("zoom", "1.25", "larger", "+"),
    ("zoom", "0.8", "smaller", "-"),
    ("move", "-1 0", "left", "Shift ←"),
    ("move", "1 0", "right", "Shift →"),
    ("move", "0 -1", "up", "Shift ↑"),
    ("move", "0 1", "down", "Shift ↓"),
)


def values(document: Document, around: Around) -> dict[str, Any]:
    """All that ``study.html`` shows but the picture."""
    index, limits = around.viewer, around.limits
    lines = lines_of(document, index, limits)
    own = (document.get("versions") or {}).get("config_sha256")
    return {
        "document": document,
        "headline": verdict_words(document),
        "figure": strongest_figures(document),
        "person": person_of(around.row),
        "titles": {one["pattern"]: pattern_title(one["pattern"]) for one in document["findings"]},
        "read": read_by(around),
        "pending": "" if around.older else pending_words(around.row, around.now),
        "follows": full_follows(around.row),
        "written": around.written,
        "said_of_older": around.said_of_older,
        "longest_note": LONGEST_NOTE,
        "viewer": None if index is None else {**index, "start_mm": start_of(document, index)},
        "panel_rows": [] if index is None else panel_rows(index),
        "view_keys": VIEW_KEYS,
        "view_buttons": VIEW_BUTTONS,
        "lesions": lesion_lines(document, index),
        "lines": [line for line in lines if line["main"]],
        "more_lines": [line for line in lines if not line["main"]],
        "other_limits": limits is not None and around.digest is not None and own != around.digest,
        "others": other_figures(document),
        "not_assessed": not_assessed(document),
        "versions": versions_of(around.versions, around.zone),
        "older": around.older,
        "shown": around.older or next((version_name(one) for one in reversed(around.versions)), ""),
        "in_force": None if around.digest is None else own == around.digest,
        "deliveries": around.deliveries,
        "links": around.links,
        "acts": [(one, clock_words(one.at, around.zone)) for one in around.acts],
        "seen": around.versions[-1] if around.versions else None,
    }


SEXES = {"F": "female", "M": "male", "O": "other"}


def person_of(row: StudyRow | None) -> dict[str, str]:
    """Name, date of birth and sex as the images state them, in words; "" for what they do not state."""
    if row is None:
        return {"name": "", "born": "", "sex": ""}
    born = f"born {row.birth_date.isoformat()}" if row.birth_date else ""
    return {"name": name_words(row.patient_name), "born": born, "sex": SEXES.get(row.sex, "")}


def full_follows(row: StudyRow | None) -> bool:
    """Whether the full assessment of the images that were looked at is still to come."""
    return row is None or (row.state is not StudyState.FAILED and row.decided_revision == row.revision)


def pending_words(row: StudyRow | None, now: datetime | None) -> str:
    """What the newest decision does not hold: the study failed since, or has images that nobody looked at, or empty."""
    if row is None or now is None:
        return ""
    if row.state is StudyState.FAILED:
        return f"The assessment failed and needs a human: {row.failure}. This page shows what was known before."
    if row.state in ENDED:
        return "The images of this study were deleted."
    if row.decided_revision is None or row.decided_revision >= row.revision:
        return ""
    working = row.lease_until is not None and row.lease_until > now
    what = "are being looked at" if working else "arrive" if row.state is StudyState.RECEIVING else "wait"
    return f"Newer images or facts {what}. This decision is without them."


def read_by(around: Around) -> list[tuple[str, str]]:
    """Who acknowledged the newest decision, and when, the first one first: what the worklist says of it."""
    if not around.versions:
        return []
    newest = around.versions[-1]
    sequence = Decided("", newest["revision"], newest["stage"]).sequence
    first: dict[str, str] = {}
    for one in around.acknowledged:
        if one.covers(sequence, newest["created_at"]):
            first.setdefault(one.by, clock_words(one.at, around.zone))
    return list(first.items())


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


def strongest(document: Document) -> str | None:
    """The region that the first present finding names first in its evidence."""
    for finding in document["findings"]:
        if is_present(finding):
            for line in finding["evidence"]:
                return str(line).partition("/")[0]
    return None


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
