"""What became of the parts of a STOW-RS request in, status and body of the answer out (PS3.18 section 10.5.3). Pure."""

from __future__ import annotations

import json
from collections.abc import Sequence

from listener.intake.taking import Taken

OK, ACCEPTED, CONFLICT = 200, 202, 409  # all stored; some; none
UNAVAILABLE = 503  # none, and the same request may succeed later: no sender may take it for the last word
Element = dict[str, object]


def answer(taken: Sequence[Taken]) -> tuple[int, bytes]:
    """HTTP status, and a DICOM JSON object with Referenced and Failed SOP Sequence, and Other Failures Sequence of what
    does not say which object it is."""
    stored = [one for one in taken if one.reason is None]
    failed = [one for one in taken if one.reason is not None]
    body: dict[str, Element] = {}
    named = [one for one in failed if one.sop_instance_uid]
    unknown = [one for one in failed if not one.sop_instance_uid]
    if named:
        body["00081198"] = {"vr": "SQ", "Value": [_failed(one) for one in named]}
    if unknown:
        body["0008119A"] = {"vr": "SQ", "Value": [_failed(one) for one in unknown]}
    if stored:
        body["00081199"] = {"vr": "SQ", "Value": [_names(one) for one in stored]}
    return _status(stored, failed), json.dumps(body).encode()


def _status(stored: Sequence[Taken], failed: Sequence[Taken]) -> int:
    if stored:
        return ACCEPTED if failed else OK
    return UNAVAILABLE if any(one.again for one in failed) else CONFLICT


def _failed(one: Taken) -> dict[str, Element]:
    return {**_names(one), "00081197": {"vr": "US", "Value": [one.status]}}


def _names(one: Taken) -> dict[str, Element]:
    found: dict[str, Element] = {}
    if one.sop_class_uid:
        found["00081150"] = {"vr": "UI", "Value": [one.sop_class_uid]}
    if one.sop_instance_uid:
        found["00081155"] = {"vr": "UI", "Value": [one.sop_instance_uid]}
    return found
