"""A claim in, the images that its decision rests on out, as an entry of the document."""

from __future__ import annotations

from typing import Any

from workers.images_seen import images_seen
from workers.ports import Claim, StudyIndex


def images_of_revision(claim: Claim, index: StudyIndex) -> dict[str, Any]:
    """``{"images": ...}``; nothing when further images came since: then these are of another revision."""
    uids = [row.sop_instance_uid for row in index.instances(claim.study_instance_uid)]
    row = index.study(claim.study_instance_uid)
    return {} if row is None or row.revision != claim.revision else {"images": images_seen(uids)}
