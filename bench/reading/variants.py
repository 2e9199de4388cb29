"""Alterations of a study by rule: what is done to its files, and what is right afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Alter = Callable[[Path], None]


@dataclass(frozen=True)
class Variant:
    """alter: changes the files of a folder with one study; the folder visits beside it holds both visits.

    names: reason codes that a refusal may have; empty: the right value must be read.
    """

    name: str
    alter: Alter
    names: frozenset[str] = frozenset()
    series: str = "*"  # glob of the folders that the study has


def variant(name: str, alter: Alter, *names: str) -> Variant:
    return Variant(name, alter, frozenset(names))
