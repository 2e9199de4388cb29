"""A SOP class in, whether a measurement may read its objects out.

An object of any other class changes no decision: documents, segmentations, results of this program.
"""

from __future__ import annotations

from collections.abc import Iterable

# As triage.sequences.computed, which the receiving program does not load (PS3.4 annex B.5)
MEASURED_CLASSES = (
    "1.2.840.10008.5.1.4.1.1.4",  # MR Image
    "1.2.840.10008.5.1.4.1.1.4.1",  # Enhanced MR Image
    "1.2.840.10008.5.1.4.1.1.4.4",  # Legacy Converted Enhanced MR Image
)


def is_measured(sop_class_uid: str) -> bool:
    """Whether a decision may rest on objects of this class."""
    return sop_class_uid in MEASURED_CLASSES


def none_is_measured(sop_class_uids: Iterable[str]) -> bool:
    """Whether no decision can rest on any of these objects."""
    return not any(map(is_measured, sop_class_uids))
