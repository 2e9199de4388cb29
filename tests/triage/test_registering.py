"""The working resolutions that a baseline was prepared with are those that a registration makes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.builders import rigid
from triage import registering
from triage.alignment.images import affine_of, from_sitk, to_sitk
from triage.alignment.registration import Pyramid, RegistrationResult, pyramid
from triage.alignment.session import Session
from triage.libraries import sitk
from triage.model import SequenceKind, SeriesHeader, Volume
from triage.preparation import PreparedBaseline
from triage.settings import TriageSettings

OBLIQUE = rigid((5, 6, 7), (1, 2, 3)) @ np.diag([1.0, 1.1, 4.0, 1.0])
FLAIR = Volume(np.random.default_rng(3).uniform(0, 900, (20, 60, 60)).astype(np.float32), OBLIQUE)
MASK = Volume(np.ones((4, 4, 4), dtype=np.uint8), np.eye(4))
BARE = PreparedBaseline(
    "1.2",
    "1.2.1",
    SeriesHeader("1.2.1"),
    FLAIR,
    MASK,
    MASK,
    {},
    Session(SequenceKind.FLAIR, {SequenceKind.FLAIR: FLAIR}),
)
WORKING = {name: from_sitk(image) for name, image in vars(pyramid(to_sitk(FLAIR))).items()}


def given(monkeypatch: pytest.MonkeyPatch, prepared: PreparedBaseline) -> Pyramid | None:
    """What the registration is given of the baseline."""
    seen: list[Pyramid | None] = []

    def followed(*_: object, baseline_pyramid: Pyramid | None, **_more: Any) -> RegistrationResult:
        seen.append(baseline_pyramid)
        return RegistrationResult(True, None, {}, np.eye(4))

    monkeypatch.setattr(registering, "register_followup", followed)
    registering.register_on_baseline(FLAIR, prepared, TriageSettings().registration)
    return seen[0]


def test_what_was_prepared_is_what_a_registration_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    found, made = given(monkeypatch, replace(BARE, working=WORKING)), pyramid(to_sitk(FLAIR))
    assert found is not None
    for name, image in vars(made).items():
        other = getattr(found, name)
        assert np.array_equal(sitk.GetArrayFromImage(other), sitk.GetArrayFromImage(image)), name
        assert other.GetPixelID() == image.GetPixelID(), name
        assert affine_of(other) == pytest.approx(affine_of(image), abs=1e-12), name


def test_noop_without_them_the_registration_makes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    assert given(monkeypatch, BARE) is None
