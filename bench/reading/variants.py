"""Alterations of a study by rule: what is done to its files, and what is right afterwards."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from triage.model import Voxels

Alter = Callable[[Path], None]
Expected = Callable[[Voxels], Voxels]


@dataclass(frozen=True)
class Variant:
    """alter: changes the files of a folder with one study; the folder visits beside it holds both visits.

    names: reason codes that a refusal may have; empty: the right value must be read. expected: what is right for the
    FLAIR, made of its voxels; None: the voxels themselves.
    """

    name: str
    alter: Alter
    names: frozenset[str] = frozenset()
    expected: Expected | None = None
    series: str = "*"  # glob of the folders that the study has


def variant(name: str, alter: Alter, *names: str, expected: Expected | None = None) -> Variant:
    return Variant(name, alter, frozenset(names), expected)
