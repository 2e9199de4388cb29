"""Counts and scores in, the figures of the tables out: intervals, ROC, smallest change, lesion matching."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import scipy.ndimage as ndi
from scipy import stats

from triage.model import Mask


@dataclass(frozen=True)
class Rate:
    """``hits`` of ``total`` with the exact (Clopper-Pearson) 95 % interval. Shares 0..1; nan without any case."""

    hits: int
    total: int

    @property
    def value(self) -> float:
        return self.hits / self.total if self.total else float("nan")

    @property
    def interval(self) -> tuple[float, float]:
        if self.total == 0:
            return float("nan"), float("nan")
        low = float(stats.beta.ppf(0.025, self.hits, self.total - self.hits + 1)) if self.hits else 0.0
        high = float(stats.beta.ppf(0.975, self.hits + 1, self.total - self.hits)) if self.hits < self.total else 1.0
        return low, high

    def __str__(self) -> str:
        if self.total == 0:
            return "no case"
        low, high = self.interval
        return f"{self.value:.2f} ({low:.2f}-{high:.2f}; {self.hits}/{self.total})"


def rate(answers: Sequence[bool]) -> Rate:
    return Rate(sum(bool(a) for a in answers), len(answers))


def smallest_change(found: Mapping[float, Rate], wanted: float = 0.95) -> float | None:
    """Strength from which on the share found stays at or above ``wanted``; None when even the strongest stays below.

    Between the last strength below and the first one above, a straight line; the shares are first made to rise with the
    strength (each is at most the smallest of all stronger ones), so that a lucky weak case does not count.
    """
    strengths = sorted(s for s, r in found.items() if r.total)
    if not strengths:
        return None
    shares = np.minimum.accumulate(np.array([found[s].value for s in strengths])[::-1])[::-1]
    reached = np.flatnonzero(shares >= wanted)
    if reached.size == 0:
        return None
    first = int(reached[0])
    if first == 0:
        return strengths[0]
    low, high = shares[first - 1], shares[first]
    part = (wanted - low) / (high - low)
    return float(strengths[first - 1] + part * (strengths[first] - strengths[first - 1]))


def roc(negatives: Sequence[float], positives: Sequence[float]) -> tuple[npt.NDArray[np.float64], ...]:
    """(false positive rate, true positive rate) for every limit, from strict to lenient, (0, 0) and (1, 1) included."""
    no, yes = np.asarray(negatives, dtype=np.float64), np.asarray(positives, dtype=np.float64)
    limits = np.unique(np.concatenate([no, yes]))[::-1]
    false = np.array([0.0, *((no >= limit).mean() if no.size else 0.0 for limit in limits), 1.0])
    true = np.array([0.0, *((yes >= limit).mean() if yes.size else 0.0 for limit in limits), 1.0])
    return false, true


def area_under(negatives: Sequence[float], positives: Sequence[float]) -> float:
    """Chance that a positive scores higher than a negative, ties half; nan when one side is empty."""
    no, yes = np.asarray(negatives, dtype=np.float64), np.asarray(positives, dtype=np.float64)
    if not no.size or not yes.size:
        return float("nan")
    above = (yes[:, None] > no[None, :]).mean() + 0.5 * (yes[:, None] == no[None, :]).mean()
    return float(above)


@dataclass(frozen=True)
class LesionScore:
    """Lesion-wise agreement of one scan.

    found, missed: lesions of the truth; false: detections that touch none; dice: of the masks.
    """

    found: int
    missed: int
    false: int
    dice: float

    @property
    def f1(self) -> float:
        """2 found / (2 found + missed + false); nan when there is neither a lesion nor a detection."""
        whole = 2 * self.found + self.missed + self.false
        return 2 * self.found / whole if whole else float("nan")


def match_lesions(
    truth: npt.NDArray[Any], detected: npt.NDArray[Any], voxel_ml: float, *, smallest_ml: float, share: float = 0.1
) -> LesionScore:
    """Connected components against connected components (26 neighbours).

    A lesion of the truth of at least ``smallest_ml`` is found when detections cover ``share`` of it; a detection is
    false when it touches no lesion of the truth, however small. Both masks (k, j, i) on one grid.
    """
    true_mask, found_mask = np.asarray(truth) > 0, np.asarray(detected) > 0
    around = np.ones((3, 3, 3), dtype=bool)
    true_labels, n_true = ndi.label(true_mask, around)
    found_labels, n_found = ndi.label(found_mask, around)
    sizes = np.bincount(true_labels.ravel(), minlength=n_true + 1)
    hit = np.bincount(true_labels[found_mask], minlength=n_true + 1)
    big = [n for n in range(1, n_true + 1) if sizes[n] * voxel_ml >= smallest_ml - 1e-9]
    found = sum(1 for n in big if hit[n] >= share * sizes[n])
    touching = set(np.unique(found_labels[true_mask]).tolist()) - {0}
    return LesionScore(found, len(big) - found, n_found - len(touching), dice(true_mask, found_mask))


def dice(one: Mask, other: Mask) -> float:
    """2 |both| / (|one| + |other|); nan when both are empty."""
    total = int(one.sum()) + int(other.sum())
    return float(2 * int((one & other).sum()) / total) if total else float("nan")


def proposed_limit(no_change: Sequence[float], *, quantile: float = 0.98, margin: float = 1.15) -> float:
    """A limit from figures of pairs without the change: the upper ``quantile`` (larger of the empirical one and that of
    a normal distribution with the same median and robust spread) times ``margin``. nan for fewer than five figures."""
    values = np.asarray([v for v in no_change if np.isfinite(v)], dtype=np.float64)
    if values.size < 5:
        return float("nan")
    middle = float(np.median(values))
    spread = 1.4826 * float(np.median(np.abs(values - middle)))
    upper = max(float(np.quantile(values, quantile)), middle + float(stats.norm.ppf(quantile)) * spread)
    return upper * margin if upper > 0 else upper
