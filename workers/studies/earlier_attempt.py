"""A decision that is stored already under the revision of another attempt: it may have gone out, and stays as it is.

An attempt that dies after it stored its decision is repeated under the same revision. The inputs may have changed by
then. A delivery is known by study, revision and stage: another decision under the same key would reach nobody.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from triage.model import Stage
from workers.ports import Claim
from workers.studies.inputs import Inputs, changed
from workers.studies.lease import Lease, LeaseLost
from workers.studies.reconsider import stored_inputs

if TYPE_CHECKING:
    from workers.studies.deps import Deps

SAID = ("decision", "findings", "baseline", "since")  # parts of the document that make another decision of it


def put_back_if_overtaken(claim: Claim, inputs: Inputs, deps: Deps) -> bool:
    """Whether the full decision of this revision is stored and its inputs have changed since; then the study is put
    back in the queue under a new revision.

    Args:
        inputs: as they are now.
    """
    document = _stored(claim, Stage.FULL, deps)
    if document is None or not changed(stored_inputs(document), inputs):
        return False
    return deps.index.requeue(claim.study_instance_uid, now=deps.clock.now())


def has_newer_revision(claim: Claim, deps: Deps) -> bool:
    """Whether newer images, or another answer, reopened the study since."""
    row = deps.index.study(claim.study_instance_uid)
    return row is not None and row.revision != claim.revision


def store_once(
    lease: Lease, stage: Stage, document: Mapping[str, Any], deps: Deps, *, now: datetime
) -> Mapping[str, Any] | None:
    """Store a decision, or leave the one that is stored under its key; the document whose files are to be written.

    None: the stored one says something else, so that the study is decided again under a new revision.

    Raises:
        LeaseLost: the lease was lost before it was stored.
    """
    claim = lease.claim
    before = _stored(claim, stage, deps)
    if before is None:
        if not deps.index.save_assessment(claim, stage=stage.value, document=document, now=now):
            raise LeaseLost("the lease was lost before the decision was stored")
        return document
    if _said(before) == _said(document):
        return before
    deps.index.requeue(claim.study_instance_uid, now=now)
    return None


def _stored(claim: Claim, stage: Stage, deps: Deps) -> Mapping[str, Any] | None:
    versions = deps.index.assessments(claim.study_instance_uid)
    key = (claim.revision, stage.value)
    return next((one["document"] for one in versions if (one["revision"], one["stage"]) == key), None)


def _said(document: Mapping[str, Any]) -> str:
    return json.dumps([document.get(name) for name in SAID], sort_keys=True)
