"""The case lists: calibration and test share nothing, faults are sixty, names are unique."""

from __future__ import annotations

import pytest

from bench.accuracy.cases import KEY_STRENGTH, Case, bases, cases, gates
from bench.accuracy.heads import HEADS


def _run(split: str, size: str = "all") -> tuple[Case, ...]:
    return cases(size, split, "A,B,C,D")


def test_calibration_and_test_share_no_patient() -> None:
    patients = {split: {HEADS[c.base.head].patient for c in _run(split)} for split in ("test", "calibration")}
    assert patients["test"]
    assert patients["calibration"]
    assert not patients["test"] & patients["calibration"]


def test_calibration_and_test_share_no_seed() -> None:
    seeds = {
        split: {c.seed for c in _run(split)} | {HEADS[c.base.head].seed for c in _run(split)}
        for split in ("test", "calibration")
    }
    assert not (seeds["test"] & seeds["calibration"]) - {0}  # 0: a real head


def test_both_dates_of_a_person_are_in_one_split() -> None:
    splits: dict[str, set[str]] = {}
    for head in HEADS.values():
        splits.setdefault(head.patient, set()).add(head.split)
    assert all(len(found) == 1 for found in splits.values())


def test_a_fault_from_another_head_takes_it_from_another_patient_of_the_split() -> None:
    others = [c for c in gates() if c.option.startswith("other_head:")]
    assert len(others) >= 12
    for case in others:
        other = HEADS[case.option.split(":")[1]]
        assert other.patient != HEADS[case.base.head].patient
        assert other.split == "test"


def test_sixty_faults() -> None:
    assert len(list(gates())) == 60


@pytest.mark.parametrize("size", ["quick", "all"])
@pytest.mark.parametrize("split", ["test", "calibration"])
def test_names_and_seeds_are_unique(split: str, size: str) -> None:
    found = _run(split, size)
    assert len({c.name for c in found}) == len({c.seed for c in found}) == len(found)


def test_the_figures_of_the_table_rest_on_every_base() -> None:
    for protocol, strength in KEY_STRENGTH.items():
        at = {c.base for c in _run("test") if c.kind == "A" and c.protocol == protocol and c.strength == strength}
        assert at == set(bases("test"))


def test_quick_is_a_part_of_all() -> None:
    assert {c.name for c in _run("test", "quick")} < {c.name for c in _run("test")}
