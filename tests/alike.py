"""Are two results of the same measurement the same, but for the order in which threads add up?"""

from __future__ import annotations

import re
from typing import Any

import pytest

NUMBER = re.compile(r"(?<![\d.])[-+]?\d+(?:\.\d+)?(?!\.?\d)")  # not a part of a UID


def alike(one: Any, other: Any, *, relative: float = 1e-4) -> bool:
    """Whether two JSON values differ by no more than rounding: floats by ``relative`` or 0.01, and the decimals that
    texts show by one unit of their last place. Whole numbers, and everything else, must be equal."""
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(alike(one[k], other[k]) for k in one)
    if isinstance(one, list):
        return isinstance(other, list) and len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return one == pytest.approx(other, rel=relative, abs=0.01)
    if isinstance(one, str) and isinstance(other, str):
        return _alike_texts(one, other)
    return type(one) is type(other) and one == other


def _alike_texts(one: str, other: str) -> bool:
    if NUMBER.sub("#", one) != NUMBER.sub("#", other):
        return False
    return all(_alike_numbers(a, b) for a, b in zip(NUMBER.findall(one), NUMBER.findall(other), strict=True))


def _alike_numbers(one: str, other: str) -> bool:
    decimals = len(one.partition(".")[2])
    if decimals != len(other.partition(".")[2]):
        return False
    return one == other if decimals == 0 else abs(float(one) - float(other)) < 1.5 * 10**-decimals
