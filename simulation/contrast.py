"""Tissue -> signal: relaxation, density and diffusion per tissue at 1.5 and 3 T, and the signal equations. Pure.

Times in ms, diffusion in 1e-3 mm2/s, b in s/mm2, proton density relative to water. Sources: white matter and cortex
T1/T2 at 3 T Wansapura et al., JMRI 1999;9:531 (white 832/80 ms, grey 1331/110 ms) and Stanisz et al., MRM 2005;54:507
(1.5 and 3 T); the ranges of Bojorquez et al., Magn Reson Imaging 2017;35:69 for deep grey matter and CSF; fat, marrow
and muscle Gold et al., AJR 2004;183:343; proton density Neeb et al., NeuroImage 2006;31:1156; ADC AJNR 2002;23:194.
Within these ranges T2 is set so that FLAIR ratios come out as on real scans: cortex to white matter 1.15-1.25, brain
stem to white matter about 1.0, and the thalamus as in 15 real heads: -4 % (sd 7) to white matter nearby, -10 % (sd 6)
to caudate or putamen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from simulation.deformation import Field
from simulation.phantom import TISSUES, Phantom

FloatOrField = float | npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Tissue:
    """T1, T2 in ms; density relative to water; ADC in 1e-3 mm2/s."""

    t1: float
    t2: float
    density: float
    adc: float


PARAMETERS: Mapping[float, Mapping[str, Tissue]] = {
    3.0: {
        "white": Tissue(840, 73, 0.70, 0.70),
        "cortex": Tissue(1350, 91, 0.82, 0.87),
        "thalamus": Tissue(1080, 75.5, 0.76, 0.75),
        "striatum": Tissue(1200, 82, 0.80, 0.74),
        "pallidum": Tissue(950, 68, 0.75, 0.74),
        "brainstem": Tissue(980, 76, 0.73, 0.74),
        "cerebellar_cortex": Tissue(1280, 87, 0.81, 0.76),
        "csf": Tissue(4300, 2000, 1.0, 3.0),
        "fat": Tissue(371, 133, 0.95, 0.05),
        "muscle": Tissue(1420, 32, 0.80, 1.4),
        "vessel": Tissue(1650, 60, 0.25, 2.5),  # low density stands for the flow void
    },
    1.5: {
        "white": Tissue(650, 76, 0.70, 0.70),
        "cortex": Tissue(1050, 85, 0.82, 0.87),
        "thalamus": Tissue(830, 76.5, 0.76, 0.75),
        "striatum": Tissue(920, 81, 0.80, 0.74),
        "pallidum": Tissue(750, 71, 0.75, 0.74),
        "brainstem": Tissue(760, 77, 0.73, 0.74),
        "cerebellar_cortex": Tissue(990, 82, 0.81, 0.76),
        "csf": Tissue(4200, 2000, 1.0, 3.0),
        "fat": Tissue(288, 165, 0.95, 0.05),
        "muscle": Tissue(1010, 35, 0.80, 1.4),
        "vessel": Tissue(1440, 80, 0.25, 2.5),
    },
}
GD_RELAXIVITY = 4.5e-3  # 1/(mM ms), gadobutrol-like in plasma
GD_CONCENTRATION_MM = {"vessel": 2.5, "muscle": 0.06, "fat": 0.0}  # mM a few minutes after a standard dose


@dataclass(frozen=True)
class Weighting:
    """What the signal equation needs. times in ms.

    method: "ir_se" (FLAIR), "se" (T1, T2, DWI), "ir_gre" (MPRAGE). echo_ms: the contrast-equivalent echo time, which
    for variable-flip trains (SPACE, CUBE, VISTA) is far shorter than the nominal one. fat: remaining fat signal (fat
    suppression). b: s/mm2.
    """

    method: str
    repetition_ms: float
    echo_ms: float
    inversion_ms: float = 0.0
    train_ms: float = 0.0  # length of the echo train: no recovery during it
    fat: float = 1.0
    b: float = 0.0
    gadolinium: bool = False


@dataclass(frozen=True, eq=False)
class Alteration:
    """A pattern's effect on the parenchyma, each (N,) on Phantom.inside.

    flair_gain: relative FLAIR signal change (0.2 = +20 %) at the session's FLAIR weighting; t1, adc: factors; gd_mm:
    contrast agent concentration after injection, mM.
    """

    flair_gain: Field
    t1: Field
    adc: Field
    gd_mm: Field


def longitudinal(w: Weighting, t1: FloatOrField) -> FloatOrField:
    """Magnetisation (0..1) just before the readout."""
    recovery = w.repetition_ms - w.train_ms
    if w.method == "ir_se":  # Hajnal et al., JCAT 1992;16:841
        return np.abs(1.0 - 2.0 * np.exp(-w.inversion_ms / t1) + np.exp(-recovery / t1))
    if w.method == "ir_gre":
        return np.abs(1.0 - 2.0 * np.exp(-w.inversion_ms / t1) / (1.0 + np.exp(-recovery / t1)))
    return 1.0 - np.exp(-recovery / t1)


def signal(w: Weighting, t1: FloatOrField, t2: FloatOrField, density: FloatOrField, adc: FloatOrField) -> FloatOrField:
    """The signal equation; all arguments broadcast."""
    exponent = w.echo_ms / t2
    if w.b:
        exponent = exponent + w.b * 1e-3 * adc
    return density * longitudinal(w, t1) * np.exp(-exponent)


def with_gadolinium(t1: FloatOrField, concentration_mm: FloatOrField) -> FloatOrField:
    return 1.0 / (1.0 / t1 + GD_RELAXIVITY * concentration_mm)


@dataclass(frozen=True, eq=False)
class ParameterMaps:
    """Parenchymal maps on Phantom.inside, each (N,): ms, ms, relative, 1e-3 mm2/s, mM."""

    t1: Field
    t2: Field
    density: Field
    adc: Field
    gd_mm: Field


def parameter_maps(
    phantom: Phantom, field_t: float, flair: Weighting, alteration: Alteration | None = None
) -> ParameterMaps:
    """Parenchymal parameters at ``field_t``. An alteration's T2 is solved so that ``flair`` changes by exactly
    ``flair_gain``."""
    tissues = [PARAMETERS[field_t][name] for name in TISSUES]

    def mixed(values: list[float]) -> Field:
        return np.asarray(np.tensordot(np.asarray(values, dtype=np.float32), phantom.weights, axes=1), dtype=np.float32)

    t1 = mixed([t.t1 for t in tissues])
    t2 = mixed([t.t2 for t in tissues]) * phantom.t2_texture
    density = mixed([t.density for t in tissues]) * phantom.pd_texture
    adc = mixed([t.adc for t in tissues])
    gd = np.zeros_like(t1)
    if alteration is not None:
        new_t1 = t1 * alteration.t1
        ratio = np.log(longitudinal(flair, new_t1) / longitudinal(flair, t1))
        t2 = 1.0 / (1.0 / t2 - (np.log1p(alteration.flair_gain) - ratio) / np.float32(flair.echo_ms))
        t1, adc, gd = new_t1, adc * alteration.adc, alteration.gd_mm
    return ParameterMaps(t1=t1, t2=t2.astype(np.float32), density=density, adc=adc, gd_mm=gd)


def parenchymal_signal(w: Weighting, maps: ParameterMaps) -> Field:
    """(N,) signal of pure parenchyma."""
    t1 = with_gadolinium(maps.t1, maps.gd_mm) if w.gadolinium else maps.t1
    return np.asarray(signal(w, t1, maps.t2, maps.density, maps.adc), dtype=np.float32)


def image_signal(phantom: Phantom, field_t: float, w: Weighting, maps: ParameterMaps) -> Field:
    """Noise-free signal of the whole head at 1 mm, (k, j, i): fractions times pure signals."""
    out = np.zeros(phantom.grid.shape, dtype=np.float32)
    out.ravel()[phantom.inside] = parenchymal_signal(w, maps) * phantom.parenchyma.ravel()[phantom.inside]
    fractions = {"csf": phantom.csf, "fat": phantom.fat, "muscle": phantom.muscle, "vessel": phantom.vessel}
    for name, fraction in fractions.items():
        tissue = PARAMETERS[field_t][name]
        t1: FloatOrField = tissue.t1
        if w.gadolinium:
            t1 = with_gadolinium(t1, GD_CONCENTRATION_MM.get(name, 0.0))
        density = (
            tissue.density * 3.0 if w.gadolinium and name == "vessel" else tissue.density
        )  # slow venous blood enhances
        level = float(signal(w, t1, tissue.t2, density, tissue.adc)) * (w.fat if name == "fat" else 1.0)
        out += np.float32(level) * fraction
    return out
