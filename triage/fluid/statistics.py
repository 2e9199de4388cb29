"""Arithmetic of the fluid figures: the commonest level, the spread over blocks, several contrasts' answers as one."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from triage.libraries import ndi

Array = npt.NDArray[np.floating]


def mode(values: npt.NDArray[np.floating]) -> float:
    """The commonest value: median of the shortest interval that holds 30 % of them; NaN-free, empty gives 0."""
    if not values.size:
        return 0.0
    ordered = np.sort(values)
    held = max(1, int(0.3 * ordered.size))
    width = ndi.uniform_filter1d(ordered[held - 1 :] - ordered[: ordered.size - held + 1], max(1, ordered.size // 200))
    start = int(np.argmin(width))
    return float(np.median(ordered[start : start + held]))


def jackknife(base: Array, change: Array) -> float:
    """Standard deviation of 100 x sum(change) / sum(base) when each block in turn is left out."""
    used = base > 0
    n = int(used.sum())
    if n < 2:
        return 100.0
    rest = 100 * (change.sum() - change[used]) / np.maximum(base.sum() - base[used], 1e-9)
    return float(np.sqrt((n - 1) / n * ((rest - rest.mean()) ** 2).sum()))


def weighted(answers: list[tuple[float, float]]) -> tuple[float, float]:
    """(value, sd) pairs -> weighted mean and its sd.

    The sd is multiplied by the Birge ratio where the answers contradict each other. It is never below the
    smallest sd divided by the root of their number.
    """
    values, sds = np.array(answers).T
    weight = 1.0 / np.maximum(sds, 1e-6) ** 2
    mean = float((weight * values).sum() / weight.sum())
    sd = float(1.0 / np.sqrt(weight.sum()))
    if len(answers) > 1:
        sd *= max(1.0, float(np.sqrt((weight * (values - mean) ** 2).sum() / (len(answers) - 1))))
    return mean, sd
