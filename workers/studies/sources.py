"""A stored decision in, the headers of the images behind it out, for the renderers of outputs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workers.log import get_logger
from workers.outputs.source_headers import source_study
from workers.outputs.sources import FILE_NAME, Sources, SourceStudy, sources_to_json
from workers.ports import Claim
from workers.studies.deps import Deps

log = get_logger(__name__)

BASELINE_KINDS = ("flair",)  # nothing else of a baseline is referred to


def files_of_sources(claim: Claim, document: Mapping[str, Any], deps: Deps) -> dict[str, bytes]:
    """``sources.json``, to lie beside the document. Nothing when the headers cannot be read: the decision stands, and
    outputs that refer to images do not apply to it."""
    try:
        return {FILE_NAME: sources_to_json(_sources(claim, document, deps))}
    except Exception:
        log.exception("results.sources_not_read")
        return {}


def _sources(claim: Claim, document: Mapping[str, Any], deps: Deps) -> Sources:
    uid = claim.study_instance_uid
    used = {row["series_instance_uid"]: row["kind"] for row in document["series"] if row["used_as"] is not None}
    before = [(one["revision"], one["stage"]) for one in deps.index.assessments(uid)]
    earlier = [one for one in before if one != (claim.revision, document["stage"])]
    baseline = (document["baseline"] or {}).get("study_instance_uid")
    return Sources(
        _study(uid, used, deps),
        None if baseline is None else _study(baseline, _kinds_of_baseline(baseline, deps), deps),
        claim.revision,
        earlier[-1] if earlier else None,
    )


def _study(uid: str, kinds: Mapping[str, str], deps: Deps) -> SourceStudy:
    rows = deps.index.instances(uid)
    wanted = [row for row in rows if row.series_instance_uid in kinds] or rows[:1]
    return source_study(map(deps.files.path, wanted), kinds)


def _kinds_of_baseline(uid: str, deps: Deps) -> dict[str, str]:
    described = deps.reader.describe([deps.files.path(row) for row in deps.index.instances(uid)])
    kinds = {one.header.series_instance_uid: one.identification.kind.value for one in described.series}
    return {uid: kind for uid, kind in kinds.items() if kind in BASELINE_KINDS}
