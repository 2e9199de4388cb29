"""A prepared baseline to a folder and back: whole or not at all."""

from __future__ import annotations

import dataclasses
from datetime import date, time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.builders import rigid
from triage.alignment.session import Session
from triage.model import Found, Lesion, Measurement, SequenceKind, SeriesHeader, Volume
from triage.preparation import PreparedBaseline
from workers.studies import prepared


def a_prepared(**changes: Any) -> PreparedBaseline:
    rng = np.random.default_rng(4)
    own = rigid((5, 6, 7), (1, 2, 3)) @ np.diag([0.7, 0.7, 4.0, 1.0])
    cubic = rigid((5, 6, 7), (9, 8, 7))
    labels = rng.integers(0, 37, (8, 9, 10)).astype(np.uint8)
    values: dict[str, Any] = {
        "study_instance_uid": "1.2.1",
        "series_instance_uid": "1.2.1.1",
        "header": SeriesHeader(
            "1.2.1.1",
            manufacturer="SIEMENS",
            echo_time_ms=120.5,
            image_type=("ORIGINAL", "PRIMARY"),
            pixel_spacing_mm=(0.7, 0.7),
            acquisition_time=time(9, 30, 1, 250000),
            acquisition_date=date(2026, 2, 20),
            vendor={"ge_pulse_sequence": "CubeT2flair"},
        ),
        "flair": Volume(rng.uniform(0, 900, (4, 6, 5)).astype(np.float32), own),
        "labels": Volume(labels, cubic),
        "brain": Volume((labels > 3).astype(np.uint8), cubic),
        "label_names": {1: "midbrain", 9: "thalamus_left"},
        "doubts": {"pons": "region_fit: 0.3"},
        "working": {"fine": Volume(rng.normal(size=(3, 4, 5)).astype(np.float32), own)},
    }
    t1 = Volume(rng.uniform(0, 900, (5, 5, 5)).astype(np.float32), cubic)
    values["session"] = Session(
        SequenceKind.FLAIR,
        {SequenceKind.FLAIR: values["flair"], SequenceKind.T1: t1, SequenceKind.DWI: t1},
        {SequenceKind.FLAIR: np.eye(4), SequenceKind.T1: own, SequenceKind.DWI: cubic},
        t1,
    )
    values["burden"] = Found(
        (Measurement("brain", "lesion_volume_ml", 2.5, "mL", 0.25),),
        {"chronic_lesions": Volume((labels > 30).astype(np.uint8), cubic)},
        (Lesion(1, "chronic", "pons", 1.5, (1.0, 2.0, 3.0), 20.0),),
        ("said so",),
    )
    return PreparedBaseline(**{**values, **changes})


def test_everything_comes_back(tmp_path: Path) -> None:
    before = a_prepared()
    prepared.save(tmp_path / "one", before)
    after = prepared.load(tmp_path / "one")
    assert after is not None
    for field in dataclasses.fields(PreparedBaseline):
        assert_same(getattr(before, field.name), getattr(after, field.name), field.name)


def assert_same(one: Any, other: Any, where: str) -> None:
    """Equal in every part; arrays also in their type."""
    assert type(one) is type(other), where
    if isinstance(one, (Volume, Session, Found)):
        for field in dataclasses.fields(one):
            assert_same(getattr(one, field.name), getattr(other, field.name), f"{where}.{field.name}")
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_same(one[key], other[key], f"{where}.{key}")
    elif isinstance(one, np.ndarray):
        assert one.dtype == other.dtype, where
        assert np.array_equal(one, other), where
    else:
        assert other == one, where


def test_absent_is_none(tmp_path: Path) -> None:
    assert prepared.load(tmp_path / "never saved") is None


@pytest.mark.parametrize("name", ["prepared.json", "volumes.npz"])
def test_a_folder_that_lacks_a_file_is_none(name: str, tmp_path: Path) -> None:
    """Then it is prepared again."""
    prepared.save(tmp_path / "one", a_prepared())
    (tmp_path / "one" / name).unlink()
    assert prepared.load(tmp_path / "one") is None


@pytest.mark.parametrize("name", ["prepared.json", "volumes.npz"])
def test_a_truncated_file_is_none(name: str, tmp_path: Path) -> None:
    prepared.save(tmp_path / "one", a_prepared())
    path = tmp_path / "one" / name
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert prepared.load(tmp_path / "one") is None


def test_a_flipped_byte_is_none(tmp_path: Path) -> None:
    prepared.save(tmp_path / "one", a_prepared())
    path = tmp_path / "one" / "volumes.npz"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    assert prepared.load(tmp_path / "one") is None


def test_saving_again_replaces(tmp_path: Path) -> None:
    folder = tmp_path / "shelf" / "one"
    prepared.save(folder, a_prepared())
    prepared.save(folder, a_prepared(series_instance_uid="1.2.1.7"))
    after = prepared.load(folder)
    assert after is not None
    assert after.series_instance_uid == "1.2.1.7"
    assert [p.name for p in folder.parent.iterdir()] == ["one"], "nothing is left beside it"


def test_a_failed_save_leaves_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "one"
    prepared.save(folder, a_prepared())
    with pytest.raises(TypeError):
        prepared.save(folder, a_prepared(header="not a header"))
    assert prepared.load(folder) is not None
    assert [p.name for p in tmp_path.iterdir()] == ["one"]
