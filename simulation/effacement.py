"""A real scan, a place and levels in; the scan with effaced sulci and the true loss of fluid out. Pure.

A mixed voxel holds a share of fluid, linear between the level of tissue and that of pure fluid. A part of that share
becomes tissue. Nothing moves, and the skull stays where it is: at the resolution of a scan, gyri that swell into their
sulci look like this.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from triage.model import Mask, Volume

WAVE_MM = 90.0  # wavelength of the loss along each axis
UNEVEN = 0.3  # amplitude of the wave, as a share of the loss


def uneven_loss(volume: Volume, loss: float, seed: int) -> npt.NDArray[np.float32]:
    """A smooth loss about ``loss`` (0..1), shape (k, j, i).

    It depends on the place in LPS mm alone, so that it is the same for every series of a session.
    """
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
