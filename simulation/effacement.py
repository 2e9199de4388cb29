"""Sulcal fluid of a real scan turned into tissue: volume, place and levels in; the effaced volume and the true loss out. Pure.

A mixed voxel holds a share of fluid, linear between the level of tissue and that of pure fluid; a part of that share becomes tissue. The
skull stays where it is, nothing moves: gyri that swell into their sulci look so at the resolution of a scan.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from triage.model import Mask, Volume

WAVE_MM = 90.0  # the loss waxes and wanes over about half of this
UNEVEN = 0.3  # by this share of itself


def uneven_loss(volume: Volume, loss: float, seed: int) -> npt.NDArray[np.float32]:
    """A smooth loss about ``loss`` (0..1), a function of the place in LPS mm alone: the same for every series of a session. (k, j, i)."""
    phases = np.random.default_rng(seed).uniform(0, 2 * np.pi, 3)
    k, j, i = (np.arange(n, dtype=np.float64) for n in volume.voxels.shape)
    out = np.zeros(volume.voxels.shape, dtype=np.float64)
    for axis, phase in enumerate(phases):
        place = (
            volume.affine[axis, 3]
            + volume.affine[axis, 0] * i[None, None, :]
            + volume.affine[axis, 1] * j[None, :, None]
            + volume.affine[axis, 2] * k[:, None, None]
        )
        out += np.sin(2 * np.pi * place / WAVE_MM + phase) / 3
    return np.clip(loss * (1 + UNEVEN * out), 0, 1).astype(np.float32)


def share_of_fluid(voxels: npt.NDArray[Any], tissue: float, fluid: float) -> npt.NDArray[np.float32]:
    """0 at the level of tissue and beyond it, 1 at the level of pure fluid and beyond it. Same shape."""
    if tissue == fluid:
        raise ValueError(f"tissue and fluid have the same level ({tissue}): nothing tells them apart")
    return np.clip((voxels - tissue) / (fluid - tissue), 0, 1).astype(np.float32)


def effaced(
    volume: Volume, where: Mask, *, tissue: float, fluid: float, loss: npt.NDArray[np.float32] | float
) -> tuple[Volume, float]:
    """The volume with fluid turned into tissue, and the true change of fluid in ``where``, percent (negative).

    Args:
        where: voxels that may lose fluid, (k, j, i).
        tissue, fluid: levels of pure tissue and pure fluid on this scan.
        loss: share of the fluid that is lost, 0..1; an array (k, j, i) or one for all.
    """
    if where.shape != volume.voxels.shape:
        raise ValueError(f"where has shape {where.shape}, the volume {volume.voxels.shape}")
    share = share_of_fluid(volume.voxels, tissue, fluid) * where
    lost = share * loss
    held = float(share.sum())
    change = -100.0 * float(lost.sum()) / held if held > 0 else 0.0
    return Volume((volume.voxels + lost * (tissue - fluid)).astype(np.float32), volume.affine), change
