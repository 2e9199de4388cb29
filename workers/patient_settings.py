"""The patients section of config.yaml."""

from __future__ import annotations

from typing import Literal

from workers.sections import Section


class PatientSettings(Section):
    # when two spellings of a patient ID (leading zeros, blanks, case, full-width characters) are one: confirmed (both
    # birth dates are stated and agree), form (nothing contradicts), exact (never)
    same_id: Literal["confirmed", "form", "exact"] = "confirmed"
