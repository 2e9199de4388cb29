"""Measurements in, one of them by region and quantity out; and the form of a figure in the evidence of a finding."""

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


def evidence_line(measurement: Measurement, form: str = "+.1f") -> str:
    """The figure as the evidence of a finding states it: ``region/quantity = value ± uncertainty unit``.

    Args:
        form: of the value, as in a format string.
    """
    m = measurement
    if m.value is None:
        return f"{m.region}/{m.quantity}: not measured ({m.reason})"
    spread = "" if m.uncertainty is None else f" ± {m.uncertainty:.1f}"
    return f"{m.region}/{m.quantity} = {m.value:{form}}{spread} {m.unit}"


def figure_named(line: str) -> tuple[str, str] | None:
    """Region and quantity that a line of ``evidence_line`` states a value of; None: it states none."""
    named, equals, _ = line.partition("=")
    region, slash, quantity = named.strip().partition("/")
    if not (equals and slash) or " " in quantity:  # the reason of a figure that was not measured may hold a "=" too
        return None
    return region, quantity
