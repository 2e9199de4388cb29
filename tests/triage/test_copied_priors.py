"""Earlier studies that hold the same images: which of them is the prior."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.triage.test_baseline import COPIED, DAY, DAY_5, INFUSION, a_copy, chosen
from triage.baseline import Candidate

EARLY = a_copy("early", INFUSION - DAY, images="p")
YIELDS = [
    pytest.param(a_copy("zcopy", INFUSION - DAY, images="p"), "zcopy", id="of the same day: the larger UID"),
    pytest.param(
        replace(a_copy("zcopy", INFUSION - DAY, images="p"), assessable=False), "early", id="of the same day, unfit"
    ),
    pytest.param(replace(a_copy("x", DAY_5, images="p"), assessable=False), None, id="of a later day, unfit"),
    pytest.param(a_copy("x", INFUSION + 20 * DAY, images="p"), "early", id="after the follow-up"),
    pytest.param(
        a_copy("x", INFUSION + 20 * DAY, images="p", acquired=INFUSION + 20 * DAY),
        None,
        id="after the follow-up, and acquired then",
    ),
]


@pytest.mark.parametrize(("other", "chosen_uid"), YIELDS)
def test_a_prior_yields_to_a_copy_that_takes_its_place_or_tells_that_its_date_is_wrong(
    other: Candidate, chosen_uid: str | None
) -> None:
    for order in ([EARLY, other], [other, EARLY]):
        assert chosen(*order, study=COPIED).study_instance_uid == chosen_uid
