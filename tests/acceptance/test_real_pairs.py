"""Two real patients, two dates each, other protocols at the second date: through the real command, against references
that know nothing of the program."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import real_pairs as real
from tests.acceptance.conftest import Assessed

pytestmark = [pytest.mark.real, pytest.mark.timeout(900)]

PAIRS = [pytest.param(pair, id=pair.name) for pair in real.PAIRS]
THALAMI = ("thalamus_left", "thalamus_right")


@pytest.mark.parametrize("pair", PAIRS)
def test_registration_agrees_with_the_publishers(pair: real.Pair, assessed: dict[str, Assessed]) -> None:
    one = assessed[pair.name]
    assert one.as_acquired["registration"]["accepted"]
    assert real.registration_error_mm(pair, one.results / "followup_to_baseline.tfm") <= pair.registration_mm


@pytest.mark.parametrize("pair", PAIRS)
def test_a_pair_without_the_pattern_is_not_called(pair: real.Pair, assessed: dict[str, Assessed]) -> None:
    """patient03 has a new focal lesion in the pons: focal, so not pattern A."""
    document = assessed[pair.name].as_acquired
    assert real.finding_of(document)["presence"] == "absent"
    assert document["baseline"]["study_date"] == "2020-01-06"


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("region", THALAMI)
def test_thalamic_drift_is_small(pair: real.Pair, region: str, assessed: dict[str, Assessed]) -> None:
    change = real.value_of(assessed[pair.name].as_acquired, region)
    assert change is not None
    assert abs(change) <= pair.change_percent


@pytest.mark.parametrize("pair", PAIRS)
def test_raised_thalami_and_pons_are_called(pair: real.Pair, assessed: dict[str, Assessed]) -> None:
    document = assessed[pair.name].raised
    finding = real.finding_of(document)
    assert finding["presence"] == "present", finding
    assert document["decision"]["category"] in ("possible", "neurotoxicity_suspected")
    assert document["decision"]["priority"] != "unchanged"


@pytest.mark.parametrize("pair", PAIRS)
@pytest.mark.parametrize("region", THALAMI)
def test_the_rise_is_measured_as_large_as_it_was_made(
    pair: real.Pair, region: str, assessed: dict[str, Assessed]
) -> None:
    """Against the same pair as acquired: the drift of the pair drops out."""
    before, after = (real.value_of(d, region) for d in (assessed[pair.name].as_acquired, assessed[pair.name].raised))
    assert before is not None
    assert after is not None
    assert after - before == pytest.approx(pair.raise_percent, abs=0.35 * pair.raise_percent)


def test_the_installed_program_says_the_same(assessed: dict[str, Assessed], tmp_path: Path) -> None:
    """In a process of its own, with the same result as in this one: nothing depends on what ran before."""
    one = assessed["patient03"]  # the smaller one
    here = one.as_acquired
    document = real.assess_by_process(one.folder / "followup", one.baseline, tmp_path, config=one.config)
    assert [key for key in here.keys() | document.keys() if here.get(key) != document.get(key)] == ["timings_s"]
    assert (tmp_path / "evidence.png").stat().st_size > 10_000
