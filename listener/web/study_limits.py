"""A region and a quantity in, the limit that the patterns hold it against out, as the settings have it. Pure."""

from __future__ import annotations

from triage.anatomy import BRAIN_STEM, CAPSULES, THALAMI
from triage.patterns.all import PATTERNS
from triage.settings import CommonSettings

# (region, quantity) -> pattern and the field of its limits, without the class of the protocol
FIELDS = {
    **{(region, "flair_change_percent"): ("A", "thalami") for region in THALAMI},
    **{(region, "flair_excess_percent"): ("A", "alone_thalami") for region in THALAMI},
    **{(region, "flair_change_percent"): ("A", "stem") for region in BRAIN_STEM},
    **{(region, "flair_excess_percent"): ("A", "alone_stem") for region in BRAIN_STEM},
    **{(region, "flair_change_percent"): ("A", "capsules") for region in CAPSULES},
    **{(region, "volume_change_percent"): ("A", "swelling") for region in THALAMI},
    ("pons", "volume_change_percent"): ("A", "pons_swelling_percent"),
    ("third_ventricle", "volume_change_percent"): ("A", "third_ventricle_percent"),
    ("sulcal_csf", "volume_change_percent"): ("D", "sulcal"),
    ("extraventricular_csf", "volume_change_percent"): ("D", "extraventricular"),
    ("brain", "volume_change_percent"): ("D", "brain"),
    ("ventricles", "volume_change_percent"): ("D", "ventricles"),
    ("cisterns", "volume_change_percent"): ("D", "cisterns"),
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
