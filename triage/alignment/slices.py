"""Two dates on one grid in, the gain of each slice of each date out, as the healthy tissue of these slices shows it.

The signal of a stack may fall off over its last slices, odd and even slices may differ (interleaved acquisition), and a
single slice may be off. A smooth field follows none of these. On a real pair without a change there a fall-off over the
last slices was read as a rise of the medulla by 38 %, with the cerebellum beside it as bright.

The log ratio of healthy tissue is fitted by one gain for each slice of both dates: linear between slices, by robust
least squares with a prior for no gain. What lies below the noise is dropped, so that an even pair is left as it is.
Where healthy tissue is too scarce to show the gain of a slice, the slice counts as not known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from triage.alignment.images import affine_of, on_grid
from triage.alignment.normalisation import robust_sd
from triage.alignment.sampling import some_of
from triage.libraries import sitk
from triage.model import Affine, Mask

Array = npt.NDArray[np.float64]
KNOT_MM = 2.5  # thinner slices share a gain: no scanner changes it faster
# of healthy tissue at a slice; fewer show no gain (2.4 mL at 1.5 mm). With 1 mL, edges of the cerebellum in the last
# slice of a simulated pair without a change were read as a gain of -30 %, and its correction made a lesion
MIN_VOXELS = 700
MOST_VOXELS = 40_000  # of the fit, drawn evenly; more change nothing
ALONE = 30.0  # voxels that count as one independent sample: the grid is finer than the scan, and errors are smooth
PRIOR = 0.1  # log gain of a slice that nothing is known of, one sd
LEAST = 0.01  # log gain below which, at one sd, a gain is not believed
ENOUGH = 0.02  # log gain that needs no correction
ROUNDS = 4
# Tissue of a slice whose change differs this much from the slice's own, in sd of all healthy tissue, goes its own way
APART_SD = 2.0
# Share of such tissue above which a slice is divided: a part of it changed, as in oedema of half of its tissue, and not
# its gain. Oedema of 45 to 70 % of the tissue of some slices was taken for a gain and taken out
MOST_APART = 0.3


@dataclass(frozen=True, eq=False)
class SliceStack:
    """The slices of one date as the common grid sees them.

    place: number of the slice at each voxel, float (k, j, i), counted in knots. axis: of the image, (i, j, k) order.
    per_knot: slices that share a gain. slices: how many there are. spacing_mm: distance of two knots.
    """

    place: npt.NDArray[np.float32]
    axis: int
    per_knot: int
    slices: int
    spacing_mm: float

    @property
    def knots(self) -> int:
        return (self.slices - 1) // self.per_knot + 2


@dataclass(frozen=True, eq=False)
class SlicePair:
    """The slices of (follow-up, baseline) on the common grid. known: voxels in slices whose gain is known at both."""

    stacks: tuple[SliceStack, SliceStack]
    known: Mask


@dataclass(frozen=True, eq=False)
class Gains:
    """Log gain of each knot of one date, its standard deviation, whether healthy tissue shows it; shape (knots,)."""

    log_gain: Array
    sd: Array
    known: npt.NDArray[np.bool_]


def stack_on(image: sitk.Image, grid: sitk.Image, to_image: Affine) -> SliceStack:
    """Which slice of ``image`` lies at each voxel of ``grid``.

    Args:
        to_image: (4, 4), grid points -> image points, LPS mm.
    """
    spacing = np.array(image.GetSpacing())
    axis = int(np.argmax(spacing)) if spacing.max() > 1.2 * spacing.min() else 2
    per_knot = max(1, int(np.ceil(KNOT_MM / spacing[axis] - 0.01)))
    row = (np.linalg.inv(affine_of(image)) @ to_image @ affine_of(grid))[axis] / per_knot
    i, j, k = (np.arange(n, dtype=np.float32) * np.float32(row[a]) for a, n in enumerate(grid.GetSize()))
    place = k[:, None, None] + j[None, :, None] + i[None, None, :] + np.float32(row[3])
    return SliceStack(place, axis, per_knot, image.GetSize()[axis], float(spacing[axis] * per_knot))


def slice_gains(change: Array, healthy: Mask, stacks: tuple[SliceStack, SliceStack]) -> tuple[Gains, Gains]:
    """The gains of the slices of (follow-up, baseline).

    A slice in which only a part of the tissue changed keeps its signal: gain 0.

    Args:
        change: log(follow-up / baseline) without smooth field and contrast, (k, j, i).
        healthy: tissue that should not change; changed or not.
    """
    taken = some_of(healthy, MOST_VOXELS)
    every = max(1.0, np.count_nonzero(healthy) / max(len(taken), 1))  # voxels that one of the sample stands for
    observed = change.ravel()[taken]
    columns, weights = zip(*(_hats(stack, taken) for stack in stacks), strict=True)
    first = stacks[0].knots
    column = np.concatenate([columns[0], columns[1] + first], axis=1)
    value = np.concatenate([weights[0], -weights[1]], axis=1)
    total = first + stacks[1].knots
    known = np.ones(total, dtype=bool)
    for _ in range(
        2
    ):  # fitted where both dates show a gain: else a slice would pay for an unknown one of the other date
        known &= np.bincount(column.ravel(), weights=np.abs(value).ravel(), minlength=total) * every >= MIN_VOXELS
        fitted = (known[column] | (value == 0)).all(axis=1)
        observed, column, value = observed[fitted], column[fitted], value[fitted]
    known &= np.bincount(column.ravel(), weights=np.abs(value).ravel(), minlength=total) * every >= MIN_VOXELS
    robust = np.ones(len(observed))
    found: Array = np.zeros(total)
    for _ in range(ROUNDS):
        normal = np.zeros((total, total))
        for a in range(4):
            for b in range(4):
                at = column[:, a] * total + column[:, b]
                product = robust * value[:, a] * value[:, b]
                normal += np.bincount(at, weights=product, minlength=total * total).reshape(total, total)
        right = np.bincount(column.ravel(), weights=(robust[:, None] * value * observed[:, None]).ravel(),
                            minlength=total)  # fmt: skip
        residual = observed - (value * found[column]).sum(axis=1)
        spread = max(robust_sd(residual), 1e-3)
        prior = ALONE * spread**2 / every / PRIOR**2
        found = np.asarray(np.linalg.solve(normal + prior * np.eye(total), right), dtype=np.float64)
        residual = observed - (value * found[column]).sum(axis=1)
        robust = 1.0 / (1.0 + (residual / max(2 * robust_sd(residual), 1e-3)) ** 2)
    sd = np.sqrt(ALONE * spread**2 / every / (normal.diagonal() + prior))
    believed = 1.0 - (2 * np.maximum(sd, LEAST) / np.maximum(np.abs(found), 1e-9)) ** 2
    divided = _apart(residual / spread, column, value, total) > MOST_APART
    found = np.where(divided, 0.0, found * np.clip(believed, 0.0, 1.0))
    both = [Gains(found[part], sd[part], known[part]) for part in (slice(0, first), slice(first, total))]
    return both[0], both[1]


def _apart(residual_sd: Array, column: npt.NDArray[np.int64], value: Array, total: int) -> Array:
    """Of the tissue of each knot the share that goes its own way; shape (total,)."""
    weights = np.abs(value)
    apart = np.where((np.abs(residual_sd) > APART_SD)[:, None], weights, 0.0)
    whole = np.bincount(column.ravel(), weights=weights.ravel(), minlength=total)
    return np.asarray(np.bincount(column.ravel(), weights=apart.ravel(), minlength=total) / np.maximum(whole, 1e-9))


def _hats(stack: SliceStack, voxels: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], Array]:
    """The two knots beside each voxel, and the share of each; both (n, 2)."""
    last = (stack.slices - 1) / stack.per_knot  # beyond the middle of the last slice its own value goes on
    place = np.clip(stack.place.ravel()[voxels].astype(np.float64), 0.0, last)
    below = place.astype(np.int64)
    share = place - below
    return np.stack([below, below + 1], axis=1), np.stack([1.0 - share, share], axis=1)


def known_at(gains: Gains, stack: SliceStack) -> Mask:
    """Voxels of the grid whose slice has a known gain, (k, j, i)."""
    nearest = np.clip(np.rint(stack.place), 0, stack.knots - 1).astype(np.int64)
    return np.asarray(gains.known[nearest])


def uneven(gains: tuple[Gains, Gains]) -> bool:
    """Whether any slice needs to be corrected."""
    return any(bool((np.abs(one.log_gain[one.known]) > ENOUGH).any()) for one in gains)


def without_gains(part: sitk.Image, gains: Gains, stack: SliceStack, first: Sequence[int] = (0, 0, 0)) -> sitk.Image:
    """An image with the gain of its slices taken out; a slice of unknown gain gets that of the nearest known one.

    Args:
        part: of the image of the stack. first: index (i, j, k) in the image at which it begins.
    """
    known = np.flatnonzero(gains.known)
    if not known.size:
        return part
    slices = part.GetSize()[stack.axis]
    number = (first[stack.axis] + np.arange(slices)) / stack.per_knot
    log_gain = np.interp(number, known, gains.log_gain[known])
    shape = [1, 1, 1]
    shape[2 - stack.axis] = slices
    factor = np.exp(-log_gain).astype(np.float32).reshape(shape)
    return on_grid(sitk.GetArrayViewFromImage(part) * factor, part)
