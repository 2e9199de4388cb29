"""Tags that rules put on studies in, what a document and a list say about them out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workers.image_ports import ImageBatches


def tagged(document: Mapping[str, Any], images: ImageBatches | None, study_instance_uid: str) -> dict[str, Any]:
    """The document with the key ``tags``: each with the rule that put it and when; unchanged without tags."""
    found = () if images is None else images.tags([study_instance_uid]).get(study_instance_uid, ())
    if not found:
        return dict(document)
    return {**document, "tags": [{"tag": one.tag, "rule": one.rule, "at": one.at.isoformat()} for one in found]}


def tags_of(images: ImageBatches | None, study_instance_uids: Sequence[str]) -> dict[str, list[str]]:
    """Study UID -> its tags, of studies that have some."""
    if images is None:
        return {}
    return {uid: [one.tag for one in found] for uid, found in images.tags(study_instance_uids).items()}
