"""Measurements in, one of them by region and quantity out; and the form of a figure that could not be measured."""

from __future__ import annotations

import numpy as np

from triage.model import Measurement


def not_measured(region: str, quantity: str, unit: str, reason: str) -> Measurement:
    """A visible 'could not measure' with its reason."""
    return Measurement(region, quantity, None, unit, assessable=False, reason=reason)


def percent(log_ratio: float) -> float:
    """Log ratio to percent change."""
    return float(100.0 * np.expm1(log_ratio))


def lookup(measurements: tuple[Measurement, ...], region: str, quantity: str) -> Measurement:
    """The named figure; when there is none, one that says that it was not measured."""
    for measurement in measurements:
        if measurement.region == region and measurement.quantity == quantity:
            return measurement
    return not_measured(region, quantity, "%", "not measured in this stage")
