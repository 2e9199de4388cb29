"""A study of the day of the infusion, whose time is not known: is it before treatment?"""

from __future__ import annotations

from dataclasses import replace
from datetime import time

import pytest

from tests.triage.test_baseline import BEFORE, DAY, INFUSION, a_candidate, acute, chosen
from triage.baseline import Candidate
from triage.model import Basis

MORNING = a_candidate("morning", INFUSION, time(8))
ON_THE_DAY = [
    pytest.param([MORNING], "morning", Basis.BEFORE_INFUSION, id="noop: clear"),
    pytest.param([BEFORE, MORNING], "morning", Basis.BEFORE_INFUSION, id="noop: clear, and one before"),
    pytest.param([BEFORE, acute("d0", INFUSION)], "before", Basis.BEFORE_INFUSION, id="positive, and one before"),
    pytest.param([MORNING, acute("d0", INFUSION)], "morning", Basis.BEFORE_INFUSION, id="positive, and clear earlier"),
    pytest.param([acute("b", INFUSION - DAY), acute("d0", INFUSION)], "b", Basis.BEFORE_INFUSION, id="both positive"),
    pytest.param([acute("d0", INFUSION)], "d0", Basis.COURSE_ONLY, id="only a positive"),
    pytest.param([BEFORE, replace(MORNING, judged=False)], "before", Basis.BEFORE_INFUSION, id="not measured"),
    pytest.param([replace(MORNING, judged=False)], "morning", Basis.COURSE_ONLY, id="not measured, and alone"),
    pytest.param([BEFORE, replace(MORNING, left_open=("A",))], "before", Basis.BEFORE_INFUSION, id="does not exclude"),
    pytest.param([replace(MORNING, left_open=("A",))], "morning", Basis.COURSE_ONLY, id="does not exclude, and alone"),
]


@pytest.mark.parametrize(("candidates", "compared", "basis"), ON_THE_DAY)
def test_a_study_of_the_day_of_the_infusion_may_lie_after_it(
    candidates: list[Candidate], compared: str, basis: Basis
) -> None:
    choice = chosen(*candidates)
    found = choice.since[0] if choice.since else choice.study_instance_uid
    assert (found, choice.basis) == (compared, basis)
