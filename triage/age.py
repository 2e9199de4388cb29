"""A study in; why its patient may be too young to be compared with adults, out.

White matter is not myelinated before about two years of age: on FLAIR and T2 it is as bright as grey matter, or
brighter (Barkovich, Radiology 1988;166:173). What is normal in adults, and a lesion in them, says nothing there.
"""

from __future__ import annotations

from triage.model import Study

TOO_YOUNG = "too_young"
DAYS_A_MONTH = 31.0  # so that a birthday is a whole year


def too_young(study: Study, limit_years: float) -> str | None:
    """A sentence when one statement makes the patient younger than the limit; None: each makes them older, or there is
    none.

    Ages that contradict each other count as young: a figure that is left out is seen, a wrong comparison is not. An
    age of zero is what some writers state for one that they do not know: beside an age above the limit it says nothing.
    """
    said = {f"PatientAge {_words(age)}": age for age in study.stated_ages}
    born, day = study.patient.birth_date, study.study_date
    if born is not None and day is not None and day >= born:
        age = day.year - born.year + (day.month - born.month + (day.day - born.day) / DAYS_A_MONTH) / 12.0
        said[f"born {_words(age)} before the study"] = age
    if any(age >= limit_years for age in said.values()):
        said = {words: age for words, age in said.items() if age > 0.0}
    if not any(age < limit_years for age in said.values()):
        return None
    contradictory = max(said.values()) >= limit_years
    how = f"ages that contradict each other: {'; '.join(said)}" if contradictory else "; ".join(said)
    return f"{TOO_YOUNG}: below {limit_years:g} years intensities are not compared with those of adults ({how})"


def _words(years: float) -> str:
    return f"{years:.0f} years" if years >= 3.0 else f"{12 * years:.0f} months"
