"""A FLAIR and the regions of the placed atlas in, one PNG with the outlines on three planes out."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from triage.anatomy import BRAIN_STEM, THALAMI, VENTRICLES, mask_of
from triage.model import Mask, Volume
from workers.outputs.evidence.slices import frame_of

# Region group -> colour of its outline; the last one that holds a voxel's edge is seen
COLOURS: Mapping[tuple[str, ...], tuple[int, int, int]] = {
    VENTRICLES: (90, 150, 255),
    BRAIN_STEM: (0, 220, 220),
    THALAMI: (255, 210, 0),
}
BRAIN = (120, 255, 120)
MARGIN = 6  # pixels
BRIGHT = 99.5  # percentile of what is above 0: white in the picture

Paper = npt.NDArray[np.uint8]


def fit_picture(flair: Volume, labels: Volume, names: Mapping[int, str]) -> bytes:
    """Two rows (through the thalami, through the brain stem) of three planes: axial, coronal, sagittal.

    The patient's right is on the left; front is up in axial planes, the head's top in the others.

    Args:
        flair, labels: on one cubic grid, shape (k, j, i).
    """
    voxels, regions = _towards_left_back_head(flair), _towards_left_back_head(labels)
    positive = voxels[voxels > 0]
    top = float(np.percentile(positive, BRIGHT)) if positive.size else 1.0
    shades = np.clip(255 * voxels / top, 0, 255).astype(np.uint8)
    paper = np.repeat(shades[..., None], 3, axis=3)
    outlines = [(regions > 0, BRAIN), *((mask_of(regions, names, group), colour) for group, colour in COLOURS.items())]
    rows = [_row(paper, outlines, _middle(mask_of(regions, names, group))) for group in (THALAMI, BRAIN_STEM)]
    out = io.BytesIO()
    image = Image.fromarray(np.concatenate(rows))
    _mark_right(image, len(rows))
    image.save(out, "png", compress_level=4)
    return out.getvalue()


def _mark_right(image: Image.Image, rows: int) -> None:
    """An R at the patient's right in each axial and coronal panel."""
    side = image.height // rows
    draw = ImageDraw.Draw(image)
    for row in range(rows):
        for panel in (0, 1):
            draw.text((panel * side + MARGIN, row * side + side // 2), "R", fill=(255, 255, 255))


def _towards_left_back_head(volume: Volume) -> npt.NDArray[Any]:
    """The voxels (k, j, i) turned so that k runs to the head, j to the back and i to the left."""
    frame = frame_of(volume.affine)
    out = np.transpose(volume.voxels, [2 - frame.index_axes[axis] for axis in (2, 1, 0)])
    for axis in (0, 1, 2):
        column = volume.affine[:3, frame.index_axes[axis]]
        if float(column @ frame.axes[:, axis]) < 0:
            out = np.flip(out, 2 - axis)
    return np.ascontiguousarray(out)


def _middle(mask: Mask) -> tuple[int, int, int]:
    places = np.argwhere(mask)
    middle = places.mean(axis=0) if places.size else np.array(mask.shape) / 2
    k, j, i = (round(float(v)) for v in middle)
    return k, j, i


def _row(paper: Paper, outlines: list[tuple[Mask, tuple[int, int, int]]], place: tuple[int, int, int]) -> Paper:
    side = max(paper.shape[:3])
    panels = []
    for axis in (0, 1, 2):
        plane = np.take(paper, place[axis], axis=axis).copy()
        for mask, colour in outlines:
            plane[_edge(np.take(mask, place[axis], axis=axis))] = colour
        if axis > 0:
            plane = plane[::-1]  # the head's top is up
        panel = np.zeros((side, side, 3), dtype=np.uint8)
        up, left = ((side - n) // 2 for n in plane.shape[:2])
        panel[up : up + plane.shape[0], left : left + plane.shape[1]] = plane
        panels.append(np.repeat(np.repeat(panel, 2, axis=0), 2, axis=1))
    return np.concatenate(panels, axis=1)


def _edge(mask: Mask) -> Mask:
    """Pixels of a plane inside the mask with a neighbour outside."""
    padded = np.pad(mask, 1)
    inner = padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
    return np.asarray(mask & ~inner)
