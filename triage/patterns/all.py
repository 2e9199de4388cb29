"""Every pattern that the program looks for, in the order of findings: a new pattern is one line here."""

from __future__ import annotations

from typing import Any

from triage.patterns import bithalamic, cortical_diffusion, focal_white_matter, global_oedema
from triage.patterns.pattern import Pattern

PATTERNS: tuple[Pattern[Any], ...] = (
    bithalamic.BITHALAMIC,
    focal_white_matter.FOCAL_WHITE_MATTER,
    cortical_diffusion.CORTICAL_DIFFUSION,
    global_oedema.GLOBAL_OEDEMA,
)
