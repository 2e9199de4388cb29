"""icansee feedback, at the terminal."""

from __future__ import annotations

import json

from tests.fakes import NOON
from tests.listener.commands.cli_runner import Icansee
from workers import config
from workers.act_ports import Act, ActKind
from workers.container import open_acts

ACT = Act("1.2.3", 1, "full", ActKind.AGREED, "mina", NOON, ("A",))


def test_export_and_agreement(icansee: Icansee) -> None:
    assert icansee("feedback", "export").code == 2, "no node ran here"
    acts = open_acts(config.load(icansee.folder / "config.yaml"))
    assert icansee("feedback", "agreement").out == "no reader has judged a decision yet\n"
    acts.add_act(ACT)
    assert icansee("feedback", "export").out.splitlines()[1] == f"1,{NOON.isoformat()},1.2.3,1,full,agree,A,mina,"
    assert icansee("feedback", "export", "--out", "acts.csv").code == 0
    assert (icansee.folder / "acts.csv").read_text(encoding="utf-8").count("\n") == 2
    assert json.loads(icansee("feedback", "export", "--format", "aira").out) == {"format": 1, "assessments": []}
    assert json.loads(icansee("feedback", "export", "--format", "fhir").out)["resourceType"] == "Bundle"
    assert icansee("feedback", "export", "--out", "no/folder.csv").code == 2
    assert "1 of 1 agreed, 21 to 100 %" in icansee("feedback", "agreement").out
    (one,) = json.loads(icansee("feedback", "agreement", "--json").out)
    assert (one["pattern"], one["agreed"]) == ("A", 1)
