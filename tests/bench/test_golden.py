"""The comparison of golden documents: what counts as a difference, and how it is told."""

from __future__ import annotations

from typing import Any

import pytest

from bench.golden import cases, differences

DOCUMENT = {
    "decision": {"priority": "P1"},
    "measurements": [{"value": 1.5}, {"value": None}],
    "timings_s": {"all": 3.0},
}


def test_the_same_document_has_no_difference() -> None:
    assert list(differences(DOCUMENT, {**DOCUMENT, "timings_s": {"all": 4.0}, "versions": {"atlas": "2"}})) == []


@pytest.mark.parametrize(
    ("change", "line"),
    [
        pytest.param({"decision": {"priority": "P2"}}, '$.decision.priority: "P2", was "P1"', id="value"),
        pytest.param({"decision": {}}, '$.decision.priority: missing, was "P1"', id="missing"),
        pytest.param({"evolution": None}, "$.evolution: new: null", id="new"),
        pytest.param({"measurements": [{"value": 1.5}]}, "$.measurements: 1 entries, were 2", id="shorter list"),
        pytest.param(
            {"measurements": [{"value": 1.5000000000000002}, {"value": None}]},
            "$.measurements[0].value: 1.5000000000000002, was 1.5",
            id="last bit",
        ),
        pytest.param(
            {"measurements": [{"value": 1.5}, {"value": False}]},
            "$.measurements[1].value: false, was null",
            id="type",
        ),
    ],
)
def test_a_difference_is_told_by_its_path(change: dict[str, Any], line: str) -> None:
    assert list(differences(DOCUMENT, {**DOCUMENT, **change})) == [line]


def test_every_case_has_a_name_of_its_own() -> None:
    names = [case.name for case in cases(["none", "A"], ["2d", "3d"])]
    assert len(set(names)) == len(names) == 8
