"""What objects state about the contrast agent: its name, what is left without the name, that none was given."""

from __future__ import annotations

from typing import Any

import pytest
from pydicom import Dataset
from pydicom.sequence import Sequence as Items

from triage.sequences.words import contrast_agent
from workers.reading.series import UNNAMED_AGENT, series_header


def an_item(**elements: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def enhanced(*usage: dict[str, str], shared: bool = True, **elements: Any) -> Dataset:
    agent = an_item(**{"CodeMeaning": "Gadobutrol", "ContrastBolusAgentNumber": 1, **elements})
    groups = [an_item(ContrastBolusUsageSequence=Items([an_item(**one)])) for one in usage]
    place = "SharedFunctionalGroupsSequence" if shared else "PerFrameFunctionalGroupsSequence"
    return an_item(ContrastBolusAgentSequence=Items([agent]), **{place: Items(groups)})


NO, YES = {"ContrastBolusAgentAdministered": "NO"}, {"ContrastBolusAgentAdministered": "YES"}
PRE, POST = {"ContrastBolusAgentPhase": "PRE_CONTRAST"}, {"ContrastBolusAgentPhase": "POST_CONTRAST"}
NAMED = {"ContrastBolusAgent": "Gadovist"}
STATED = {
    "not measured: nothing is stated": ([an_item()], None),
    "noop: the name": ([an_item(**NAMED)], "Gadovist"),
    "denied": ([an_item(ContrastBolusAgent="kein KM")], None),
    "denied, a dose of the protocol": ([an_item(ContrastBolusAgent="none", ContrastBolusVolume="7.5")], None),
    "one object of many, the last": ([an_item(), an_item(), an_item(**NAMED)], "Gadovist"),
    "denied first, then named": ([an_item(ContrastBolusAgent="none"), an_item(**NAMED)], "Gadovist"),
    "name removed, volume kept": ([an_item(ContrastBolusAgent="", ContrastBolusVolume="7.5")], UNNAMED_AGENT),
    "name removed, dose kept": ([an_item(ContrastBolusTotalDose="7.5")], UNNAMED_AGENT),
    "name removed, time kept": ([an_item(ContrastBolusAgent="", ContrastBolusStartTime="160000")], UNNAMED_AGENT),
    "name removed, ingredient kept": ([an_item(ContrastBolusIngredient="GADOLINIUM")], UNNAMED_AGENT),
    "a dash, volume kept": ([an_item(ContrastBolusAgent="-", ContrastBolusVolume="7.5")], UNNAMED_AGENT),
    "a volume of zero": ([an_item(ContrastBolusAgent="", ContrastBolusVolume="0")], None),
    "a route alone": ([an_item(ContrastBolusRoute="IV")], None),
    "enhanced": ([enhanced()], "Gadobutrol"),
    "enhanced, not administered": ([enhanced(NO)], None),
    "enhanced, administered": ([enhanced(YES)], "Gadobutrol"),
    "enhanced, administered in the second frame": ([enhanced(NO, YES, shared=False)], "Gadobutrol"),
    "enhanced, phase before": ([enhanced(PRE)], None),
    "enhanced, phase after": ([enhanced(POST)], "Gadobutrol"),
    "enhanced, name removed": ([enhanced(YES, CodeMeaning="")], UNNAMED_AGENT),
    "enhanced, name removed, volume kept": ([enhanced(CodeMeaning="", ContrastBolusVolume="7.5")], UNNAMED_AGENT),
}


@pytest.mark.parametrize("name", STATED)
def test_agent(name: str) -> None:
    objects, agent = STATED[name]
    assert contrast_agent(series_header(objects, [()] * len(objects))) == agent
