"""A stored decision in, an HL7 v2.5.1 ORU^R01 out: a preliminary result with its priority and every measurement.

The message states findings and a suggested priority; the receiver's own rule decides what to do. It never changes an
order. Only a priority that is above routine is stated: "routine" would lower what the order has. A newer decision is a
preliminary result (P) of the same filler number and replaces the older; it is no correction (C), which corrects what
was final.

Fields: HL7 v2.5.1 chapters 2 (MSH), 3 (PID), 4 (ORC, TQ1) and 7 (OBR, OBX).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from triage.report.figures import evidence_figures
from triage.report.headline import was_compared
from workers.moments import parse_moment
from workers.outputs.alerts.hl7_codes import hl7_code
from workers.outputs.alerts.hl7_text import components, escaped, person_name, segment
from workers.outputs.alerts.keys import control_id, decided_at, former_control_ids, order_id, previous_of
from workers.outputs.alerts.text import TITLES, alert_text
from workers.outputs.beside import site_zone
from workers.outputs.evidence.text import CATEGORY_WORDS, region_name
from workers.outputs.output import EvidenceFiles, Output
from workers.outputs.sources import Sources, sources_of

KIND = "oru"
SCHEME = "99ICANSEE"
PICTURE = "evidence.png"
PROCEDURE = ("24590-2", "Brain MRI", "LN")
# HL7 table 0485; a P3 and an unchanged priority state none
PRIORITIES = {"P1": ("S", "STAT"), "P2": ("A", "ASAP")}
# HL7 table 0078: AA very abnormal, A abnormal; N (normal) is never sent, because "no pattern" is not "no disease"
CATEGORY_FLAGS = {"neurotoxicity_suspected": "AA", "possible": "A", "no_pattern": "", "not_assessable": ""}
STRENGTH_FLAGS = {"possible": "A", "suspected": "AA", "strong": "AA"}
PRELIMINARY, NO_RESULT, WRONG = "P", "X", "W"  # OBX-11, HL7 table 0085; the first one in OBR-25, too (table 0123)
UNSPECIFIED_NAME = "^^^^^^U"
OFFSET = re.compile(r"[+-](0\d|1[0-4])[0-5]\d")
REPLACED = "Message ID of the replaced result"


@dataclass(frozen=True)
class _Observation:
    """One OBX. kind: OBX-2. code: OBX-3. value: OBX-5, ready made. note: of the NTE behind it."""

    kind: str
    code: tuple[str, ...]
    value: str
    sub_id: str = ""
    unit: str = ""
    flag: str = ""
    status: str = PRELIMINARY
    note: str = ""


def render(document: Mapping[str, Any], evidence: EvidenceFiles) -> bytes:
    """The message in UTF-8, segments ended by carriage returns, without MLLP framing.

    It holds the evidence picture; ``workers.outputs.alerts.oru_for.addressed`` leaves it out where it is not wanted.
    """
    sources = sources_of(document, evidence)
    said, number = _observations(document, evidence, sources), control_id(document, sources, KIND)
    return _message(document, sources, said, number, decided_at(document), zone=site_zone(evidence))


def retracting_message(
    document: Mapping[str, Any],
    sources: Sources,
    lines: Sequence[str],
    number: str,
    at: datetime,
    zone: tzinfo | None = None,
) -> bytes:
    """A message of the same order that takes the result of a decision back: each OBX-11 is W (posted as wrong).

    OBR-25 stays P. The filler number is that of the examination: X there says that the order is cancelled (HL7 table
    0123), and C that its final result is corrected. Either takes a study that nobody has read from the reader's list.

    Args:
        lines: what a person reads. number: control ID. zone: of the site.
    """
    uid = document["study"]["study_instance_uid"]
    said = [
        _Observation("TX", _own("alert", "Alert"), "~".join(map(escaped, lines)), status=WRONG),
        _Observation("CWE", _own("category", "Category"), components("retracted", "Retracted", SCHEME), status=WRONG),
        _Observation("ST", ("110180", "Study Instance UID", "DCM"), escaped(uid), status=WRONG),
    ]
    former = former_control_ids(document, sources, KIND)
    replaced = [control_id(document, sources, KIND), *former]
    said += [
        _Observation("ST", _own("replaces", REPLACED), one, sub_id=str(index) if former else "", status=WRONG)
        for index, one in enumerate(replaced, 1)
    ]
    # an earlier version used the control ID as the filler number of a study without one
    fillers = (order_id(document), *former)
    return _message(document, sources, said, number, at, hurries=False, fillers=fillers, zone=zone)


def _message(
    document: Mapping[str, Any],
    sources: Sources,
    said: Iterable[_Observation],
    number: str,
    at: datetime,
    *,
    hurries: bool = True,
    fillers: Sequence[str] = (),
    zone: tzinfo | None = None,
) -> bytes:
    """hurries: it states the priority of the decision. fillers: for a study without a number, an order for
    each; none: its own. zone: of the site."""
    header, when = sources.followup.header, f"{at:%Y%m%d%H%M%S}+0000"
    accession = header.get("AccessionNumber", "")
    placer = header.get("PlacerOrderNumberImagingServiceRequest", "") or accession
    stated_filler = header.get("FillerOrderNumberImagingServiceRequest", "") or accession
    stated = document["decision"]["priority"] if hurries else ""
    code, word = PRIORITIES.get(stated, ("", ""))
    lines = [
        f"MSH|^~\\&|ICANSEE||||{when}||ORU^R01^ORU_R01|{number}|P|2.5.1||||||UNICODE UTF-8",
        _patient(header),
    ]
    results = _results(said, when)
    for index, filler in enumerate([stated_filler] if stated_filler else fillers or [order_id(document)], 1):
        lines += [
            segment("ORC", f1="RE", f2=escaped(placer), f3=escaped(filler)),
            segment(
                "OBR", f1=str(index), f2=escaped(placer), f3=escaped(filler), f4=components(*PROCEDURE), f5=code,
                f7=_observed(header, zone) or when[:8], f18=escaped(accession), f22=when, f24="MR", f25=PRELIMINARY,
                f27=f"^^^^^{code}" if code else "",
            ),
            *([segment("TQ1", f1="1", f9=f"{code}^{word}^HL70485")] if code else []),
            *results,
        ]  # fmt: skip
    return "".join(f"{line}\r" for line in lines).encode()


def _results(said: Iterable[_Observation], when: str) -> list[str]:
    """OBX of each, and the NTE behind it."""
    lines = []
    for index, one in enumerate(said, 1):
        lines.append(
            segment(
                "OBX", f1=str(index), f2=one.kind, f3=components(*one.code), f4=escaped(one.sub_id), f5=one.value,
                f6=components(one.unit, one.unit, "UCUM") if one.unit else "", f8=one.flag, f11=one.status, f14=when,
            )
        )  # fmt: skip
        if one.note:
            lines.append(segment("NTE", f1="1", f2="L", f3=escaped(one.note)))
    return lines


def _patient(header: Mapping[str, str]) -> str:
    return segment(
        "PID", f1="1",
        f3=components(header.get("PatientID", ""), "", "", header.get("IssuerOfPatientID", ""), "MR"),
        # PID-5 is required; a study without a name has an unspecified one (table 0200), since "" deletes what is stored
        f5=person_name(header.get("PatientName", "")) or UNSPECIFIED_NAME,
        f7=escaped(header.get("PatientBirthDate", "")),
        f8=escaped(header.get("PatientSex", "")),
    )  # fmt: skip


def _observed(header: Mapping[str, str], zone: tzinfo | None) -> str:
    """Study date, time and offset from UTC as an HL7 TS; "" without a date.

    A time without an offset would be one of the zone of MSH-7 (section 2.15.9.7), which is UTC: without a zone only the
    day is stated.
    """
    day, clock = header.get("StudyDate", ""), header.get("StudyTime", "").partition(".")[0]
    if not (len(day) == 8 and day.isdigit()):
        return ""
    timed, stated = clock if clock.isdigit() and len(clock) in (4, 6) else "", header.get("TimezoneOffsetFromUTC", "")
    offset = stated if OFFSET.fullmatch(stated) else _offset_then(day + timed, zone)
    return day + timed + offset if timed and offset else day


def _offset_then(local: str, zone: tzinfo | None) -> str:
    """Of a zone from UTC at a local time, as +HHMM; "" when nobody knows it."""
    day, at = parse_moment(local)
    if zone is None or day is None or at is None:
        return ""
    return datetime.combine(day, at, zone).strftime("%z")


def _observations(document: Mapping[str, Any], evidence: EvidenceFiles, sources: Sources) -> Iterator[_Observation]:
    decision, study, alert = document["decision"], document["study"], alert_text(document)
    flag = CATEGORY_FLAGS[decision["category"]]
    words = CATEGORY_WORDS[decision["category"]]
    yield _Observation("TX", _own("alert", "Alert"), "~".join(map(escaped, alert.lines)), flag=flag)
    yield _Observation(
        "CWE", _own("category", "Category"), components(hl7_code(decision["category"]), words, SCHEME), flag=flag
    )
    yield _Observation("ST", _own("priority", "Suggested priority"), escaped(decision["priority"]))
    uid = study["study_instance_uid"]
    yield _Observation("ST", ("110180", "Study Instance UID", "DCM"), escaped(uid))
    before = previous_of(document, sources)
    if before is not None:
        yield _Observation("ST", _own("replaces", REPLACED), control_id(*before, KIND))
    if study["days_after_infusion"] is not None:
        code = _own("days_after_infusion", "Days after infusion")
        yield _Observation("NM", code, str(study["days_after_infusion"]), unit="d")
    day = document["baseline"]["study_date"] if was_compared(document) else None
    if day:
        yield _Observation("DT", _own("baseline_date", "Date of the baseline study"), day.replace("-", ""))
    yield from map(_pattern, document["findings"])
    yield from _measurements(document["measurements"], evidence_figures(document))
    if PICTURE in evidence:
        data = base64.b64encode(evidence[PICTURE]).decode()
        yield _Observation("ED", _own("picture", "Evidence picture"), f"ICANSEE^IM^PNG^Base64^{data}")


def _own(code: str, words: str) -> tuple[str, str, str]:
    return hl7_code(code), words, SCHEME


def _pattern(finding: Mapping[str, Any]) -> _Observation:
    flag = STRENGTH_FLAGS.get(finding["strength"] or "", "")
    value = finding["strength"] or finding["presence"]
    title = TITLES.get(finding["pattern"], f"pattern {finding['pattern']}")
    code = _own(f"pattern_{finding['pattern']}", title)
    return _Observation("CWE", code, components(hl7_code(value), value, SCHEME), flag=flag, note=finding["explanation"])


def _measurements(rows: Iterable[Mapping[str, Any]], carried: frozenset[tuple[str, str]]) -> Iterator[_Observation]:
    for row in rows:
        name = f"{region_name(row['region'])}: {row['quantity'].replace('_', ' ')}"
        code = _own(row["quantity"], name)
        if row["value"] is None:
            # without a value OBX-2 may be empty; OBX-11 says that there will be none
            yield _Observation(
                "", code, "", hl7_code(row["region"]), status=NO_RESULT, note=row["reason"] or "not measured"
            )
            continue
        flag = "A" if (row["region"], row["quantity"]) in carried else ""
        spread = "" if row["uncertainty"] is None else f"uncertainty (1 sd) {row['uncertainty']:g} {row['unit']}"
        yield _Observation("NM", code, f"{row['value']:.6g}", hl7_code(row["region"]), row["unit"], flag, note=spread)


ORU = Output(KIND, "alert.hl7", "application/hl7-v2+er7; charset=utf-8", render)
