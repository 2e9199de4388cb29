"""A study in, whether it goes ahead of others in the queue out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from workers.studies.person import infusions_of_person
from workers.worklist_ports import URGENT_ORDERS

FEWEST_IMAGES = 10  # fewer slices cannot cover a brain (workers.reading.volume)

if TYPE_CHECKING:
    from workers.ports import StudyIndex, StudyRow
    from workers.prior_ports import OrderPriorities


def is_urgent(row: StudyRow, index: StudyIndex, orders: OrderPriorities | None = None) -> bool:
    """Whether the study goes ahead of baselines and strangers: it was taken on or after a known infusion of the person,
    as its decision sees them, or its order is urgent.

    Args:
        orders: what the worklist says; None: nobody is asked. An order can only raise the urgency.
    """
    uid = row.study_instance_uid
    if orders is not None and orders.priorities([uid]).get(uid) in URGENT_ORDERS:
        return True
    if row.study_date is None:
        return False
    return any(one.day <= row.study_date for one in infusions_of_person(row, index)[0])


def is_small(row: StudyRow, index: StudyIndex) -> bool:
    """Whether the study holds fewer than FEWEST_IMAGES images, so that nothing can be measured in it now. It is decided
    after the others: 2,000 studies of one image each kept a patient waiting for 15 minutes."""
    if row.instance_count >= FEWEST_IMAGES:
        return False
    return sum(max(1, one.frame_count) for one in index.instances(row.study_instance_uid)) < FEWEST_IMAGES


def with_order(document: Mapping[str, Any], orders: OrderPriorities | None, study_instance_uid: str) -> dict[str, Any]:
    """The document with the priority of the order (key ``order_priority``, and a notice); unchanged without one."""
    said = "" if orders is None else orders.priorities([study_instance_uid]).get(study_instance_uid, "")
    if not said:
        return dict(document)
    text = f"the order has priority {said}"
    return {**document, "order_priority": said, "notices": [*document.get("notices", ()), text]}
