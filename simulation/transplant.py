"""Raise named regions of a real FLAIR volume by a known percent with smooth edges: volume and masks in, volume out.
Pure."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from triage.model import Volume


def smooth_weight(
    mask: npt.NDArray[np.bool_], spacing_mm: tuple[float, float, float], edge_mm: float
) -> npt.NDArray[np.float32]:
    """Membership 0..1, (k, j, i): 1 from ``edge_mm`` inside the border on, 0.5 at the border, 0 from ``edge_mm``
    outside on.

    The mask is smoothed by a Gaussian of sigma edge_mm / 2 and the central part of its range (one sigma each side, as
    at a flat border) is stretched to 0..1, so that the interior reaches the full value.
    """
    sigma = [edge_mm / 2.0 / s for s in spacing_mm[::-1]]
    soft = ndimage.gaussian_filter(mask.astype(np.float32), sigma, truncate=4.0)
    low, high = 0.0228, 0.9772  # Gaussian cumulative at two sigma = edge_mm from a flat border
    return np.asarray(np.clip((soft - low) / (high - low), 0, 1), dtype=np.float32)


def raise_regions(
    volume: Volume,
    masks: npt.NDArray[np.bool_] | Mapping[str, npt.NDArray[np.bool_]],
    percent: float | Mapping[str, float],
    *,
    edge_mm: float = 2.0,
) -> Volume:
    """``volume`` with the regions raised.

    Args:
        masks: one mask or masks by name, each (k, j, i) on the volume's grid.
        percent: signal change at the plateau (20 = +20 %), one for all or by the masks' names.
        edge_mm: half width of the soft border. Slices thicker than this keep their own partial volume: nothing leaks
        across a slice.
    """
    named = masks if isinstance(masks, Mapping) else {"region": masks}
    amounts = percent if isinstance(percent, Mapping) else dict.fromkeys(named, float(percent))
    missing = set(named) - set(amounts)
    if missing:
        raise ValueError(f"percent lacks {sorted(missing)}; it has {sorted(amounts)}")
    gain = np.zeros(volume.voxels.shape, dtype=np.float32)
    for name, mask in named.items():
        if mask.shape != volume.voxels.shape:
            raise ValueError(f"mask {name!r} has shape {mask.shape}, the volume {volume.voxels.shape}")
        part = np.float32(amounts[name] / 100.0) * smooth_weight(mask, volume.spacing_mm, edge_mm)
        gain = np.where(np.abs(part) > np.abs(gain), part, gain)
    return Volume(np.asarray(volume.voxels * (1.0 + gain), dtype=np.float32), volume.affine)
