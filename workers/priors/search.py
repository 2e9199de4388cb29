"""One search in, its answer out: an archive is asked for studies before the infusion, and what is needed of them is
retrieved.

A search that broke off goes on with what is missing.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from triage.errors import IcanseeError, Transient
from triage.identity import SameId, same_form
from workers.log import get_logger, study_hash
from workers.ports import StudyRow
from workers.prior_ports import PriorSearch, SearchState
from workers.prior_settings import PriorSource
from workers.priors.archive import Archive, FoundStudy
from workers.priors.needs import Window, cannot_be_baseline, window_of
from workers.priors.parts import ArchiveAnswer, SearchParts
from workers.priors.patient_ids import asked_as, identity_mismatch, other_spellings
from workers.priors.retrieval import MR, Retrieved, StudyRetrieval
from workers.remote.find import WILDCARDS, literal_query

log = get_logger(__name__)


class CannotBeRetrievedError(IcanseeError):
    """The archive holds studies that may be the baseline, and no attempt can get them whole."""


def run_search(search: PriorSearch, source: PriorSource, parts: SearchParts, answer: ArchiveAnswer) -> SearchState:
    """Ask one archive for one follow-up; ``answer`` is filled as far as it comes.

    Raises:
        Transient: the archive, the index or the store is away, or did not send everything; to be tried again.
        CannotBeRetrievedError: what is missing cannot be had.
    """
    row = parts.index.study(search.study_instance_uid)
    window = None if row is None else window_of(row, parts.index, latest_days=parts.latest_days)
    if row is None or window is None:
        return SearchState.NOT_NEEDED
    deadline_s = time.monotonic() + parts.settings.time_limit_s
    with parts.open_archive(source, deadline_s) as archive:
        asked = asked_as(source, row)
        answer.patient_id = asked.there.patient_id if asked.mapped else ""
        found = _each_once(_of_patient(archive, asked.there.patient_id, window))
        wanted = _sorted_out(found, row, window, source, answer, parts.index.same_id)
        if not wanted:
            more = _otherwise_spelled(archive, asked.there.patient_id, window, parts.index.same_id, found)
            wanted = _sorted_out(more, row, window, source, answer, parts.index.same_id)
            found = _each_once([*found, *more])
        answer.studies = len(found)
        log.info("prior.asked", study=study_hash(row.study_instance_uid), source=source.name, studies=len(found))
        come_before = {one["study_instance_uid"] for one in search.answer.get("candidates", ()) if "kinds" in one}
        refused = cannot_be_baseline(row, parts.index)
        came, left = list[Retrieved](), parts.settings.max_studies
        for one, said in wanted:
            uid = one.study_instance_uid
            if left <= 0:
                said["said"] = "not retrieved: priors.max_studies are retrieved already"
                continue
            got = StudyRetrieval(archive, one, row, source, parts, deadline_s, search.attempts).run(said, answer)
            if uid in refused and not got.images and not got.failure:
                said["said"] = f"it is here, and cannot be the baseline: {refused[uid]}"
                left -= uid in come_before
                if uid not in come_before:
                    said.pop("kinds", None)
                continue
            left -= 1
            came.append(got)
            if got.flair or got.broke_off:
                break
    return _outcome(came, last=search.attempts >= parts.settings.max_attempts)


def _outcome(came: Sequence[Retrieved], *, last: bool) -> SearchState:
    """What the search ends with. Only studies of which every series was looked at can be nothing.

    Raises:
        Transient: to be tried again.
        CannotBeRetrievedError: what is missing cannot be had.
    """
    failed = [one for one in came if one.failure]
    again = [one.failure for one in failed if not one.lasting]
    if again and not (last and any(one.some_flair for one in came)):
        raise Transient(again[0])
    if any(one.some_flair for one in came):
        return SearchState.FOUND
    if failed:
        raise CannotBeRetrievedError(failed[0].failure)
    return SearchState.NOTHING


def _of_patient(archive: Archive, patient_id: str, window: Window) -> list[FoundStudy]:
    """Studies of the archive under this patient ID.

    Raises:
        CannotBeRetrievedError: no query can name this ID alone.
    """
    query = literal_query(patient_id)
    if query is None:
        raise CannotBeRetrievedError("a query for this patient ID would name other patients: it has wildcards")
    found = archive.studies(query, until=window.last)
    # a wildcard names others, too
    return [one for one in found if not WILDCARDS & set(patient_id) or same_form(one.patient_id, patient_id)]


def _each_once(found: Iterable[FoundStudy]) -> list[FoundStudy]:
    return list(dict.fromkeys(found))


def _otherwise_spelled(
    archive: Archive, patient_id: str, window: Window, same_id: SameId, known: Iterable[FoundStudy]
) -> list[FoundStudy]:
    """Studies of the archive whose patient ID is another spelling of this one."""
    seen = {one.study_instance_uid for one in known}
    found: dict[str, FoundStudy] = {}
    for spelling in other_spellings(patient_id, same_id):
        for one in archive.studies(spelling, until=window.last):
            if one.study_instance_uid not in seen and same_form(one.patient_id, patient_id):
                found[one.study_instance_uid] = one
    return list(found.values())


def _sorted_out(
    found: Iterable[FoundStudy],
    row: StudyRow,
    window: Window,
    source: PriorSource,
    answer: ArchiveAnswer,
    same_id: SameId,
) -> list[tuple[FoundStudy, dict[str, Any]]]:
    """The studies worth retrieving, the nearest before the infusion first, each with its place in the answer."""
    wanted: list[tuple[FoundStudy, dict[str, Any]]] = []
    for one in sorted(found, key=lambda f: (str(f.study_date), f.study_time, f.study_instance_uid), reverse=True):
        why = why_not(one, row, window, source, same_id)
        if why is None and any(one.study_instance_uid == other.study_instance_uid for other, _ in wanted):
            continue  # named twice, with other words
        said = {
            "study_instance_uid": one.study_instance_uid,
            "study_date": None if one.study_date is None else one.study_date.isoformat(),
            "said": why or "not retrieved yet",
        }
        answer.candidates.append(said)
        if why is None:
            wanted.append((one, said))
    return wanted


def why_not(  # noqa: PLR0911 - one return per reason
    found: FoundStudy, row: StudyRow, window: Window, source: PriorSource, same_id: SameId = SameId.CONFIRMED
) -> str | None:
    """Why a study of the archive is not retrieved; None: it is. States no identity."""
    if found.study_instance_uid == row.study_instance_uid:
        return "the follow-up itself"
    mismatch = identity_mismatch(found.patient_id or row.patient_id, found, row, source, same_id)
    if mismatch is not None:
        return f"identity mismatch: {mismatch}"
    if found.modalities and MR not in found.modalities:
        return "not an MR study"
    if found.study_date is None:
        return "its study date is unknown"
    if found.study_date > window.last:
        return "after the infusion" if window.infusion_date else "not earlier than the follow-up"
    if found.study_date < window.first:
        return "too old to compare with"
    if found.study_date == row.study_date and not (found.study_time and found.study_time < row.study_time):
        return "not earlier than the follow-up"
    return None
