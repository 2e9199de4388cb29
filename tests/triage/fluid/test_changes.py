"""Fluid between two dates: nothing for no change, the truth for a known loss, reasons where it cannot be
told. The head is drawn from the atlas, so that the truth is known on every contrast."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt
import pytest
import scipy.ndimage as ndi
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

import atlas as package
from simulation.effacement import effaced
from tests.builders import HEAD_MM, scanned
from triage.alignment.comparison import Pair, contrasts, on_common_grid
from triage.alignment.images import NEAREST, from_sitk, isotropic_grid, resample, smooth_to, to_sitk
from triage.alignment.session import Session
from triage.fluid.changes import BRAIN, FIGURES, KINDS, fluid_alone, fluid_changes
from triage.fluid.limits import FluidLimits
from triage.fluid.shares import Levels, shares_of
from triage.fluid.statistics import weighted
from triage.measurements import lookup
from triage.model import Atlas, Found, Mask, Measurement, RegistrationResult, SequenceKind, Volume

F, T1, T2 = SequenceKind.FLAIR, SequenceKind.T1, SequenceKind.T2
LIMITS = FluidLimits()
CHANGE, SIGNAL = "volume_change_percent", "csf_flair_change_percent"
VENTRICLES = ("lateral_ventricle_left", "lateral_ventricle_right", "third_ventricle", "fourth_ventricle")
DEEP = ("thalamus", "caudate", "corpus")
LEVELS: Mapping[SequenceKind, tuple[float, float, float]] = {  # white matter, grey matter, fluid
    F: (100.0, 115.0, 40.0),
    T1: (100.0, 75.0, 25.0),
    T2: (100.0, 140.0, 350.0),
}
Scans = Mapping[SequenceKind, Volume]


@dataclass(frozen=True, eq=False)
class Head:
    """A drawn head, 2 mm, and the atlas on its grid. outer: where sulci may lose fluid; all (k, j, i)."""

    scans: Scans
    labels: Volume
    outer: Mask
    ventricles: Mask


@lru_cache(maxsize=1)
def the_atlas() -> Atlas:
    return package.load()


def numbers(atlas: Atlas, *wanted: str) -> list[int]:
    return [n for n, name in atlas.label_names.items() if name.startswith(wanted)]


@lru_cache(maxsize=1)
def the_head() -> Head:
    """White and grey matter and fluid where the atlas has them, as a scan shows them; fluid between brain and bone."""
    atlas = the_atlas()
    full = atlas.labels.voxels
    grid = isotropic_grid(to_sitk(atlas.labels), HEAD_MM)
    labels = from_sitk(resample(to_sitk(atlas.labels, sitk.sitkUInt8), grid, how=NEAREST))
    room = Volume(ndi.binary_closing(np.pad(labels.voxels > 0, 8), iterations=4)[8:-8, 8:-8, 8:-8], labels.affine)
    inside = sitk.GetArrayFromImage(resample(to_sitk(room, sitk.sitkUInt8), to_sitk(atlas.labels), how=NEAREST)) > 0
    white = np.isin(
        full, numbers(atlas, "white_matter", "corpus", "internal", "external", "midbrain", "pons", "medulla")
    )
    fluid = (full == 0) | np.isin(full, numbers(atlas, "sulcal_csf", *VENTRICLES))
    scans = {}
    for kind, (w, g, f) in LEVELS.items():
        drawn = np.select([~inside, fluid, white], [0.0, f, w], g).astype(np.float32)
        smooth = smooth_to(to_sitk(Volume(drawn, atlas.labels.affine)), HEAD_MM)
        scans[kind] = from_sitk(resample(smooth, grid))
    ventricles = np.isin(labels.voxels, numbers(atlas, *VENTRICLES))
    apart = ~ndi.binary_dilation(ventricles, iterations=3)
    return Head(scans, labels, room.voxels & apart & ~np.isin(labels.voxels, numbers(atlas, *DEEP)), ventricles)


def visit(scans: Scans, seed: int) -> dict[SequenceKind, Volume]:
    """Every series with its own receive field and noise."""
    return {kind: scanned(v, seed=10 * seed + n, bias=0.1, noise=0.01) for n, (kind, v) in enumerate(scans.items())}


def with_loss(scans: Scans, loss: float) -> tuple[dict[SequenceKind, Volume], float]:
    """Outer sulci lose this share of their fluid on every contrast; and the true change, percent (of T2)."""
    out, true = {}, 0.0
    for kind, volume in scans.items():
        _, grey, fluid = LEVELS[kind]
        out[kind], change = effaced(volume, the_head().outer, tissue=grey, fluid=fluid, loss=loss)
        true = change if kind is T2 else true
    return out, true


def pair_of(baseline: Scans, followup: Scans) -> Pair:
    brain = Volume((the_head().labels.voxels > 0).astype(np.uint8), the_head().labels.affine)
    return on_common_grid(
        to_sitk(followup[F]),
        to_sitk(baseline[F]),
        (the_head().labels, brain, dict(the_atlas().label_names)),
        RegistrationResult(True, None, {}, np.eye(4)),
        HEAD_MM,
    )


def session(scans: Scans) -> Session:
    return Session(next(iter(scans)), scans, {kind: np.eye(4) for kind in scans})


def changes(
    baseline: Scans, followup: Scans, limits: FluidLimits = LIMITS, kinds: tuple[SequenceKind, ...] = KINDS
) -> Found:
    pair = pair_of(baseline, followup)
    shared, problems = contrasts(pair, session(followup), session(baseline), kinds)
    return fluid_changes(pair, shared, problems, limits)


def figure(found: Found, region: str, quantity: str = CHANGE) -> Measurement:
    return lookup(found.measurements, region, quantity)


def value(found: Found, region: str, quantity: str = CHANGE) -> float:
    measured = figure(found, region, quantity).value
    assert measured is not None, figure(found, region, quantity).reason
    return measured


@pytest.fixture(scope="module")
def unchanged() -> Found:
    return changes(visit(the_head().scans, 1), visit(the_head().scans, 2))


@pytest.fixture(scope="module")
def lost() -> tuple[Found, Found, float]:
    """40 % of the sulcal fluid gone; the same with the dates exchanged; and the truth."""
    scans = {kind: the_head().scans[kind] for kind in (F, T2)}
    before = visit(scans, 1)
    swollen, true = with_loss(scans, 0.4)
    after = visit(swollen, 2)
    return changes(before, after, kinds=(T2,)), changes(after, before, kinds=(T2,)), true


# -- nothing changed ---------------------------------------------------------------------------------


@pytest.mark.parametrize("region", [*FIGURES, BRAIN])
def test_nothing_changed(unchanged: Found, region: str) -> None:
    measured = figure(unchanged, region)
    assert value(unchanged, region) == pytest.approx(0.0, abs=0.3 if region == BRAIN else 1.5)
    assert measured.uncertainty is not None
    assert 0.05 < measured.uncertainty < 6.0
    assert measured.baseline_value is not None
    assert measured.baseline_value > LIMITS.min_volume_ml


@pytest.mark.parametrize("region", ["sulcal_csf", "ventricles"])
def test_the_signal_of_fluid_did_not_change(unchanged: Found, region: str) -> None:
    assert value(unchanged, region, SIGNAL) == pytest.approx(0.0, abs=1.0)


def test_no_lobe_lost_cortex(unchanged: Found) -> None:
    lobes = {n for n in the_atlas().label_names.values() if n.startswith("cortex_")}
    found = {m.region: m for m in unchanged.measurements if m.region in lobes}
    assert set(found) == lobes
    for measured in found.values():
        assert measured.value == pytest.approx(0.0, abs=1.0)
        assert measured.uncertainty is not None
        assert 0.05 < measured.uncertainty < 6.0


def test_every_contrast_is_named_with_its_own_answer(unchanged: Found) -> None:
    reason = figure(unchanged, "sulcal_csf").reason or ""
    assert [kind.value in reason for kind in KINDS] == [True, True, True]


# -- effaced sulci -----------------------------------------------------------------------------------


def test_lost_sulcal_fluid_is_measured_as_lost(lost: tuple[Found, Found, float]) -> None:
    """The window of shares counts thin fluid as gone sooner, hence a few percent more than the truth."""
    found, _, true = lost
    assert true == pytest.approx(-40.0, abs=0.1)
    assert value(found, "sulcal_csf") == pytest.approx(true, abs=9.0)
    assert value(found, "extraventricular_csf") < -30.0
    assert value(found, "ventricles") == pytest.approx(0.0, abs=3.0)
    assert value(found, BRAIN) > 3.0, "what fluid loses the brain gains"


def test_widened_sulci_of_one_lobe_are_loss_of_its_cortex() -> None:
    """The sulci of one lobe hold less fluid at the first date than at the second."""
    scans = {T2: the_head().scans[T2], F: the_head().scans[F]}
    less = with_loss(scans, 0.4)[0][T2]
    frontal = ndi.binary_dilation(
        np.isin(the_head().labels.voxels, numbers(the_atlas(), "cortex_frontal_left")), iterations=2
    )
    before = {**scans, T2: Volume(np.where(frontal, less.voxels, scans[T2].voxels).astype(np.float32), less.affine)}
    found = changes(visit(before, 1), visit(scans, 2), kinds=(T2,))
    there = value(found, "cortex_frontal_left")
    assert there < -5.0
    for region in ("cortex_frontal_right", "cortex_occipital_left", "cortex_occipital_right"):
        assert abs(value(found, region)) < 0.4 * abs(there), region


def test_a_smaller_loss_measures_smaller(lost: tuple[Found, Found, float]) -> None:
    scans = {T2: the_head().scans[T2], F: the_head().scans[F]}
    less, true = with_loss(scans, 0.15)
    found = changes(visit(scans, 1), visit(less, 2), kinds=(T2,))
    assert value(found, "sulcal_csf") == pytest.approx(true, abs=6.0)
    assert value(lost[0], "sulcal_csf") < value(found, "sulcal_csf") - 15.0
    assert 0.0 < value(found, BRAIN) < value(lost[0], BRAIN)


@pytest.mark.parametrize("region", ["sulcal_csf", "cisterns", "extraventricular_csf", BRAIN])
def test_exchanging_the_dates_changes_the_sign(lost: tuple[Found, Found, float], region: str) -> None:
    """And the two ratios undo each other."""
    there, back = (value(found, region) for found in lost[:2])
    assert there * back < 0
    assert (1 + there / 100) * (1 + back / 100) == pytest.approx(1.0, abs=0.1)


# -- bright fluid ------------------------------------------------------------------------------------

BRIGHTER = 30.0  # percent of white matter


def with_bright_fluid(scans: Scans) -> dict[SequenceKind, Volume]:
    """Oxygen or contrast agent: fluid is brighter on FLAIR and as much as before."""
    white, grey, fluid = LEVELS[F]
    share = np.clip((scans[F].voxels - grey) / (fluid - grey), 0, 1) * (scans[F].voxels > 0.5 * fluid)
    brighter = scans[F].voxels + share * BRIGHTER / 100 * white
    return {**scans, F: Volume(brighter.astype(np.float32), scans[F].affine)}


def test_bright_fluid_is_measured_and_is_no_loss() -> None:
    before, after = (
        visit(scans, n) for n, scans in enumerate((the_head().scans, with_bright_fluid(the_head().scans)), 1)
    )
    found = changes({k: before[k] for k in (F, T2)}, {k: after[k] for k in (F, T2)})
    for region in ("sulcal_csf", "ventricles"):
        assert value(found, region, SIGNAL) == pytest.approx(BRIGHTER, abs=6.0)
    assert value(found, "sulcal_csf") == pytest.approx(0.0, abs=2.0)
    assert "flair" not in (figure(found, "sulcal_csf").reason or "flair")


def test_bright_fluid_with_flair_alone_gives_no_volume() -> None:
    before, after = (
        visit(scans, n) for n, scans in enumerate((the_head().scans, with_bright_fluid(the_head().scans)), 1)
    )
    found = changes({F: before[F]}, {F: after[F]})
    for region in (*FIGURES, BRAIN):
        assert not figure(found, region).assessable
        assert "flair: bright_fluid" in (figure(found, region).reason or "")
    assert value(found, "ventricles", SIGNAL) > LIMITS.csf_flair_percent


# -- not measured --------------------------------------------------------------------------------------


def without_bottom(volume: Volume, share: float) -> Volume:
    """The stack ends higher: as much of the head as ``share`` is not seen."""
    first = round(share * volume.voxels.shape[0])
    affine = volume.affine.copy()
    affine[:3, 3] += affine[:3, 2] * first
    return Volume(volume.voxels[first:].copy(), affine)


def flair_only() -> dict[SequenceKind, Volume]:
    return visit({F: the_head().scans[F]}, 1)


def test_half_a_brain_is_not_measured() -> None:
    scans = flair_only()
    found = changes(scans, {F: without_bottom(scans[F], 0.45)})
    for region in (*FIGURES, BRAIN, "cortex_frontal_left"):
        assert not figure(found, region).assessable
        assert "flair: coverage" in (figure(found, region).reason or "")
    for region in ("sulcal_csf", "ventricles"):
        assert not figure(found, region, SIGNAL).assessable


def test_a_contrast_that_is_cut_leaves_the_word_to_the_other() -> None:
    scans = visit({kind: the_head().scans[kind] for kind in (F, T2)}, 1)
    found = changes(scans, {**scans, T2: without_bottom(scans[T2], 0.45)})
    assert value(found, "sulcal_csf") == pytest.approx(0.0, abs=0.1)
    assert "t2" not in (figure(found, "sulcal_csf").reason or "t2")


def test_cisterns_out_of_view_are_not_called_small() -> None:
    scans = flair_only()
    found = changes(scans, {F: without_bottom(scans[F], 0.27)}, replace(LIMITS, min_volume_ml=28.0))
    assert (figure(found, "cisterns").reason or "").startswith("coverage")
    assert value(found, "sulcal_csf") == pytest.approx(0.0, abs=0.5)


def test_too_little_fluid_gives_no_percentage() -> None:
    scans = flair_only()
    found = changes(scans, scans, replace(LIMITS, min_volume_ml=60.0))
    assert (figure(found, "ventricles").reason or "").startswith("too_small")
    assert value(found, "sulcal_csf") == pytest.approx(0.0, abs=0.1)


def test_no_fluid_to_be_seen_is_no_loss_of_fluid() -> None:
    """FLAIR whose fluid is as bright as tissue."""
    scans = flair_only()
    flat = {F: Volume(np.where(scans[F].voxels > 10, 100.0, 0.0).astype(np.float32), scans[F].affine)}
    found = changes(flat, flat)
    assert not figure(found, "ventricles").assessable
    assert figure(found, "ventricles").reason


# -- one scan ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [F])
def test_a_single_scan_holds_what_the_drawing_holds(kind: SequenceKind) -> None:
    scans = visit({kind: the_head().scans[kind]}, 3)
    found = fluid_alone(session(scans), the_head().labels, the_atlas().label_names, LIMITS)
    drawn = float(the_head().ventricles.sum()) * HEAD_MM**3 / 1000
    assert value(found, "ventricles", "fluid_volume_ml") == pytest.approx(drawn, rel=0.25)
    assert value(found, "sulcal_csf", "fluid_volume_ml") > 3 * drawn
    assert figure(found, "sulcal_csf", "fluid_volume_ml").reason == f"source: {kind.value}"


def test_effaced_sulci_hold_less_on_a_single_scan() -> None:
    full = {T2: the_head().scans[T2]}
    before, after = (
        fluid_alone(session(visit(scans, 3)), the_head().labels, the_atlas().label_names, LIMITS)
        for scans in (full, with_loss(full, 0.8)[0])
    )
    open_ml, effaced_ml = (value(found, "sulcal_csf", "fluid_volume_ml") for found in (before, after))
    assert effaced_ml < 0.4 * open_ml
    assert figure(before, "sulcal_csf", "fluid_volume_ml").reason == "source: t2"


@pytest.mark.parametrize(
    ("scans", "code"),
    [
        pytest.param({SequenceKind.DWI: T2}, "no T2, T1 or FLAIR", id="diffusion alone"),
        pytest.param({}, "no T2, T1 or FLAIR", id="nothing"),
    ],
)
def test_a_single_session_without_a_usable_contrast_says_so(
    scans: Mapping[SequenceKind, SequenceKind], code: str
) -> None:
    volumes = {kind: the_head().scans[like] for kind, like in scans.items()}
    one = Session(SequenceKind.DWI, volumes, {kind: np.eye(4) for kind in volumes})
    found = fluid_alone(one, the_head().labels, the_atlas().label_names, LIMITS)
    for region in FIGURES:
        assert not figure(found, region, "fluid_volume_ml").assessable
        assert (figure(found, region, "fluid_volume_ml").reason or "").startswith(code)


def test_half_a_brain_on_a_single_scan_is_not_measured() -> None:
    scans = {T2: without_bottom(the_head().scans[T2], 0.45)}
    found = fluid_alone(session(scans), the_head().labels, the_atlas().label_names, LIMITS)
    assert (figure(found, "sulcal_csf", "fluid_volume_ml").reason or "").startswith("t2: coverage")


# -- arithmetic ----------------------------------------------------------------------------------------

ANSWERS = st.lists(st.tuples(st.floats(-80, 80), st.floats(0.5, 30)), min_size=1, max_size=4)
LEVEL = st.floats(-2, 6)


@settings(max_examples=60, deadline=None)
@given(ANSWERS)
def test_the_combined_answer_lies_between_the_answers(answers: list[tuple[float, float]]) -> None:
    mean, sd = weighted(answers)
    values, sds = zip(*answers, strict=True)
    assert min(values) - 1e-6 <= mean <= max(values) + 1e-6
    assert sd >= min(sds) / np.sqrt(len(sds)) - 1e-6


@settings(max_examples=60, deadline=None)
@given(st.floats(-50, 50), st.floats(20, 60), st.floats(0.5, 5))
def test_contradiction_widens_the_uncertainty(value: float, apart: float, sd: float) -> None:
    _, agreed = weighted([(value, sd), (value, sd)])
    _, contradicted = weighted([(value, sd), (value + apart, sd)])
    assert contradicted > agreed
    assert contradicted == pytest.approx(apart / 2, rel=1e-3)


@settings(max_examples=60, deadline=None)
@given(st.lists(LEVEL, min_size=2, max_size=8), st.sampled_from([(1.0, 3.0), (1.2, 0.3)]))
def test_shares_are_shares_and_follow_the_signal(signal: list[float], levels: tuple[float, float]) -> None:
    tissue, fluid = levels
    image: npt.NDArray[np.float64] = np.array(sorted(signal, reverse=fluid < tissue)).reshape(-1, 1, 1)
    both = Levels((tissue, tissue), (fluid, fluid), 0.0)
    shares = shares_of(image, image, both, np.ones(image.shape, dtype=bool), LIMITS)
    assert ((shares.baseline >= 0) & (shares.baseline <= 1)).all()
    assert (np.diff(shares.baseline.ravel()) >= -1e-9).all()
    np.testing.assert_array_equal(shares.baseline, shares.followup)
