"""set-aside list, restore, discard: what they say, and what they refuse by name."""

from __future__ import annotations

import json
from dataclasses import replace

from tests.listener.commands.cli_runner import Icansee
from tests.listener.commands.test_studies import UID, receive


def test_objects_are_listed_and_answered(icansee: Icansee) -> None:
    index = receive(icansee)
    assert json.loads(icansee("set-aside", "list", "--json").out) == [], "noop: none"
    (first, *_) = index.instances(UID)
    own = [replace(first, sop_instance_uid=f"{UID}.8.{n}", path=f"8{n}.dcm") for n in range(4)]
    stray = replace(first, sop_instance_uid=f"{UID}.9", path="9.dcm", patient_id="ST\u202eRAY[b]")
    index.record_instances([*own, stray])
    (listed,) = json.loads(icansee("set-aside", "list", "--json").out)
    assert (listed["clear"], [one["why"] for one in listed["objects"]]) == (True, ["another patient ID"])
    shown = icansee("set-aside", "list").out
    assert "STRAY[b]" in shown
    assert "\u202e" not in shown
    assert icansee("set-aside", "discard", UID).out.strip() == "discarded: 1 object"
    assert json.loads(icansee("set-aside", "list", "--json").out) == []
    (listed,) = json.loads(icansee("set-aside", "list", "--json", "--all").out)
    assert listed["objects"][0]["answer"]["answer"] == "discarded"
    refused = icansee("set-aside", "restore", UID)
    assert (refused.code, "no object of this study is set aside" in refused.err) == (2, True)
    assert icansee("set-aside", "restore", UID, "--object", f"{UID}.9").out.strip() == "restored: 1 object"
    assert icansee("set-aside", "restore", "1.2.3.4.5").code == 2
