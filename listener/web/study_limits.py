"""A region and a quantity in, the limit that the patterns hold it against out, as the settings have it. Pure."""

from __future__ import annotations

from triage.patterns.all import PATTERNS
from triage.settings import CommonSettings

# (region, quantity) -> the first pattern that holds the figure against a limit, and the field of its limits
FIELDS = {
    (one.region, one.quantity): (pattern.name, one.limit) for pattern in reversed(PATTERNS) for one in pattern.held
}


def limit_of(region: str, quantity: str, protocol: str | None, settings: CommonSettings) -> float | None:
    """The limit; None: no pattern holds this figure against one. protocol: "same", else the wider limits."""
    found = FIELDS.get((region, quantity))
    if found is None:
        return None
    pattern, field = found
    limits = next(one.limits_in(settings) for one in PATTERNS if one.name == pattern)
    names = (field, f"{field}_{'same' if protocol == 'same' else 'different'}")
    return float(next(getattr(limits, name) for name in names if hasattr(limits, name)))
