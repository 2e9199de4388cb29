"""Headers that the values contradict: more bits in use than stated, rows of another length."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, dcmread

from bench.reading.encodings import WRITTEN, file_of
from bench.reading.variants import Alter, Variant, variant
from bench.reading.visits import COLUMNS, ROWS, SLICES, each, files_of, folder_of, put
from triage.model import Voxels

STATED = 12
WIDTHS = {
    "rows and columns exchanged": ROWS,
    "two columns more": COLUMNS + 2,
    "two columns fewer": COLUMNS - 2,
    "a quarter more columns": COLUMNS + COLUMNS // 4,
}


def variants() -> Iterator[Variant]:
    for largest, bits in ((7000, 13), (14000, 14), (32000, 15), (60000, 16)):
        for signed in (False, True):
            name = f"{bits} bits in use, {STATED} stated{', signed' * signed}"
            for syntax in WRITTEN:
                yield variant(f"{name}, {syntax}", beyond(largest, syntax, signed=signed), "bits_stored")
    for largest in (900, 4000):
        yield variant(f"a head of values up to {largest}, 12 bits stated",
                      beyond(largest, "explicit", signed=False),
                       expected=lambda _, top=largest: heads(top))  # fmt: skip
    for name, columns in WIDTHS.items():
        for syntax in WRITTEN:
            yield variant(f"{name}, {syntax}", cut(columns, syntax), "row_length")


def heads(largest: int) -> Voxels:
    """Smooth heads with folds and a little noise, (SLICES, ROWS, COLUMNS), whole numbers."""
    z, y, x = np.meshgrid(*(np.linspace(-1.2, 1.2, n) for n in (2 * SLICES, ROWS, COLUMNS)), indexing="ij")
    middle = slice(SLICES // 2, SLICES // 2 + SLICES)
    inside = (1.2 * x**2 + y**2 + 0.3 * x * y + z**2 < 1.0)[middle]
    folds = (0.75 + 0.2 * np.sin(6 * x) * np.cos(5 * y))[middle]
    rough = np.abs(np.random.default_rng(7).normal(0.0, 0.02, inside.shape))
    return np.rint(np.clip(inside * folds + rough, 0.0, 1.0) * largest).astype(np.float32)


def beyond(largest: int, syntax: str, *, signed: bool) -> Alter:
    voxels = heads(largest).astype(np.int32) - largest // 2 * signed

    def change(ds: Dataset, number: int) -> None:
        put(ds, voxels[number] & 0xFFFF)
        ds.BitsStored, ds.HighBit, ds.PixelRepresentation = STATED, STATED - 1, int(signed)

    return _written(change, syntax)


def cut(columns: int, syntax: str) -> Alter:
    """The header states rows of this length; values that are left over stand behind the last row."""
    voxels = heads(900)

    def change(ds: Dataset, number: int) -> None:
        values = voxels[number].ravel()
        rows = values.size // columns
        put(ds, values[: rows * columns])
        ds.Rows, ds.Columns = rows, columns

    return _written(change, syntax)


def _written(change: Any, syntax: str) -> Alter:
    def alter(study: Path) -> None:
        each(study, "flair", change)
        for path in files_of(folder_of(study, "flair")):
            path.write_bytes(file_of(dcmread(path), syntax, syntax))

    return alter
