"""Known restriction put into a made-up head on the atlas: found where it is, not found where it only looks so."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest

from tests.builders import labels_on
from triage.alignment.images import from_sitk, isotropic_grid, to_sitk
from triage.alignment.session import Session
from triage.anatomy import CSF, tissue_group
from triage.diffusion.figures import Anatomy, DiffusionLimits, restricted
from triage.measurements import lookup
from triage.model import Affine, Atlas, DiffusionFacts, Found, Mask, SequenceKind, Volume

MM = 3.5
FACTS = DiffusionFacts(1000.0, 0.0, "1e-6 mm2/s")
LEVELS = {"cortex": (890.0, 1.0), "white": (700.0, 0.85)}  # ADC (AJNR 2002;23:194) and signal at b = 0
LIMITS = DiffusionLimits()


class Head:
    """Labels on a coarse grid, and sessions of them."""

    def __init__(self, atlas: Atlas) -> None:
        grid = from_sitk(isotropic_grid(to_sitk(atlas.template_flair), MM))
        self.affine: Affine = grid.affine
        self.labels = labels_on(grid, atlas)
        self.names = dict(atlas.label_names)

    @property
    def anatomy(self) -> Anatomy:
        return Anatomy(Volume(self.labels, self.affine), self.names, np.eye(4))

    def patch(self, region: str, radius_mm: float = 12.0) -> Mask:
        inside = np.isin(self.labels, [label for label, name in self.names.items() if name == region])
        places = np.argwhere(inside)
        middle = places[np.argmin(np.abs(places - np.median(places, axis=0)).sum(axis=1))]
        index = np.indices(self.labels.shape).transpose(1, 2, 3, 0)
        return np.asarray(inside & (np.linalg.norm((index - middle) * MM, axis=3) <= radius_mm))

    def session(
        self,
        adc_factor: npt.NDArray[np.float64] | float = 1.0,
        t2: npt.NDArray[np.float64] | float = 1.0,
        seed: int = 1,
    ) -> Session:
        rng = np.random.default_rng(seed)
        adc, b0 = np.zeros(self.labels.shape), np.zeros(self.labels.shape)
        for label, name in self.names.items():
            level = (3000.0, 2.0) if name in CSF else LEVELS.get(tissue_group(name), (760.0, 0.9))
            adc[self.labels == label], b0[self.labels == label] = level
        adc, b0 = adc * adc_factor, 500.0 * b0 * t2
        noisy = [s * rng.normal(1.0, 0.04, s.shape) for s in (b0, b0 * np.exp(-adc * 1e-3))]
        fitted = np.where(b0 > 0, 1000.0 * np.log(np.maximum(noisy[0], 1) / np.maximum(noisy[1], 1)), 0.0)
        volumes = {
            kind: Volume(v.astype(np.float32), self.affine)
            for kind, v in ((SequenceKind.DWI, noisy[1]), (SequenceKind.ADC, np.maximum(fitted, 0.0)))
        }
        return Session(
            SequenceKind.DWI,
            volumes,
            dict.fromkeys(volumes, np.eye(4)),
            Volume(noisy[0].astype(np.float32), self.affine),
            FACTS,
        )


@pytest.fixture(scope="module")
def a_head(atlas: Atlas) -> Head:
    return Head(atlas)


def factor(mask: Mask, value: float) -> npt.NDArray[np.float64]:
    return np.where(mask, value, 1.0)


def volume(found: Found, region: str) -> float:
    value = lookup(found.measurements, region, "restricted_volume_ml").value
    assert value is not None
    return value


def test_nothing_changed_is_nothing_restricted(a_head: Head) -> None:
    found = restricted(a_head.session(), a_head.anatomy, None, LIMITS)
    assert volume(found, "brain") == 0.0
    assert not found.masks["restricted"].voxels.any()
    adc = lookup(found.measurements, "white_matter_left", "adc_um2_s")
    assert adc.value == pytest.approx(700.0, rel=0.05)


def test_slow_and_bright_cortex_is_found_with_its_lobe_and_side(a_head: Head) -> None:
    mask = a_head.patch("cortex_occipital_right")
    found = restricted(a_head.session(factor(mask, 0.7)), a_head.anatomy, None, LIMITS)
    truth = float(mask.sum()) * MM**3 / 1000.0
    assert volume(found, "cortex_occipital_right") == pytest.approx(truth, rel=0.6)
    assert volume(found, "cortex_occipital_left") == 0.0


def test_both_sides_alike_do_not_cancel(a_head: Head) -> None:
    mask = a_head.patch("cortex_occipital_right", 16.0) | a_head.patch("cortex_occipital_left", 16.0)
    found = restricted(a_head.session(factor(mask, 0.65)), a_head.anatomy, None, LIMITS)
    assert min(volume(found, f"cortex_occipital_{side}") for side in ("left", "right")) > 0.5


def test_shine_through_is_no_restriction(a_head: Head) -> None:
    mask = a_head.patch("cortex_occipital_right")
    session = a_head.session(factor(mask, 1.1), factor(mask, 1.6))
    assert volume(restricted(session, a_head.anatomy, None, LIMITS), "brain") == 0.0


def test_what_was_there_before_is_not_new(a_head: Head) -> None:
    slow = factor(a_head.patch("cortex_occipital_right"), 0.7)
    before, now = a_head.session(slow, seed=2), a_head.session(slow, seed=3)
    assert volume(restricted(now, a_head.anatomy, before, LIMITS), "cortex") == 0.0
    assert volume(restricted(now, a_head.anatomy, a_head.session(seed=2), LIMITS), "cortex") > 0.5


def test_the_map_is_computed_when_the_scanner_made_none(a_head: Head) -> None:
    mask = a_head.patch("cortex_occipital_right")
    session = a_head.session(factor(mask, 0.7))
    session = replace(session, volumes={SequenceKind.DWI: session.volumes[SequenceKind.DWI]})
    found = restricted(session, a_head.anatomy, None, LIMITS)
    assert volume(found, "cortex_occipital_right") > 0.5
    assert any("computed from b 0 and b 1000" in notice for notice in found.notices)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        pytest.param({"volumes": {}}, "no_dwi", id="no DWI"),
        pytest.param({"dwi_b0": None}, "no_adc", id="neither ADC nor b = 0"),
        pytest.param({"diffusion": DiffusionFacts()}, "no_adc", id="b-values not stated"),
    ],
)
def test_what_cannot_be_measured_says_why(a_head: Head, changes: dict[str, object], code: str) -> None:
    session = a_head.session()
    session = replace(session, volumes={SequenceKind.DWI: session.volumes[SequenceKind.DWI]})
    found = restricted(replace(session, **changes), a_head.anatomy, None, LIMITS)  # type: ignore[arg-type]
    assert {m.reason.split(":")[0] for m in found.measurements if m.reason} == {code}
    assert not any(m.assessable for m in found.measurements)


def test_published_limits_are_not_used_beyond_their_b_value(a_head: Head) -> None:
    session = replace(a_head.session(), diffusion=DiffusionFacts(2500.0, 0.0))
    found = restricted(session, a_head.anatomy, None, LIMITS)
    for region, quantity in (("brain", "adc_below_650_percent"), ("pons", "adc_um2_s")):
        figure = lookup(found.measurements, region, quantity)
        assert figure.value is None
        assert (figure.reason or "").startswith("b_value")
