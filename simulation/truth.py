"""What really changed between the sessions of a synthetic patient, measured on the noise-free maps. Pure."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from simulation.contrast import Weighting, parameter_maps, parenchymal_signal
from simulation.deformation import Field, log_jacobian, resample_field
from simulation.patterns import Change
from simulation.phantom import Phantom


def truth_of(phantom: Phantom, change: Change, field_t: float, flair: Weighting) -> dict[str, object]:
    """Per region: median FLAIR change in percent at the follow-up's FLAIR, ADC change, volume change from the swelling
    field."""
    before = parameter_maps(phantom, field_t, flair)
    after = parameter_maps(change.phantom, field_t, flair, change.alteration)
    flair_percent = _on_grid(change.phantom, parenchymal_signal(flair, after)) / np.maximum(
        _on_grid(phantom, parenchymal_signal(flair, before)), 1e-9
    )
    adc_ratio = _on_grid(change.phantom, after.adc) / np.maximum(_on_grid(phantom, before.adc), 1e-9)
    growth = None
    if change.swelling is not None:
        growth = -resample_field(log_jacobian(change.swelling), change.swelling.grid, phantom.grid)
    regions: dict[str, dict[str, float]] = {}
    for number, name in sorted(phantom.label_names.items()):
        mask = phantom.labels == number
        tissue = mask & (phantom.parenchyma > 0.5)
        figures: dict[str, float] = {"volume_ml": _ml(phantom, mask)}
        if tissue.any():
            figures["flair_change_percent"] = _percent(float(np.median(flair_percent[tissue])))
            figures["flair_change_p95_percent"] = _percent(float(np.percentile(flair_percent[tissue], 95)))
            figures["adc_change_percent"] = _percent(float(np.median(adc_ratio[tissue])))
        if mask.any():
            figures["volume_change_percent"] = 0.0 if growth is None else _percent(float(np.mean(np.exp(growth[mask]))))
        regions[name] = figures
    after_volume = np.float32(1.0) if growth is None else np.exp(growth)  # size at follow-up of each baseline voxel
    sulcal = ~phantom.region("lateral_ventricle", "third_ventricle", "fourth_ventricle") & (phantom.labels > 0)
    return {
        "regions": regions,
        "brain_volume_change_percent": _growth(phantom.parenchyma, change.phantom.parenchyma * after_volume),
        "sulcal_fluid_change_percent": _growth(phantom.csf * sulcal, change.phantom.csf * sulcal * after_volume),
        "pattern_details": dict(change.details),
    }


def _growth(before: Field, after: Field) -> float:
    return _percent(float(after.sum(dtype=np.float64) / before.sum(dtype=np.float64)))


def _on_grid(phantom: Phantom, values: Field) -> Field:
    out = np.zeros(phantom.grid.shape, dtype=np.float32)
    out.ravel()[phantom.inside] = values
    return out


def _percent(ratio: float) -> float:
    return round(100.0 * (ratio - 1.0), 3)


def _ml(phantom: Phantom, mask: npt.NDArray[np.bool_]) -> float:
    return round(float(mask.sum()) * phantom.grid.spacing_mm**3 / 1000.0, 3)
