"""Peers from npm: a package and a program beside it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

OPTIONS = ("--no-audit", "--no-fund", "--ignore-scripts")


def installed(folder: Path, package: str) -> Path:
    """Install a package, e.g. ``fhir@4.12.0``, into a folder; returns the folder."""
    command = ["npm", "install", *OPTIONS, "--prefix", str(folder), "--cache", str(folder / "cache"), package]
    subprocess.run(command, check=True, capture_output=True, timeout=300)
    return folder


def beside(folder: Path, package: str, program: Path) -> Path:
    """The copy of a program that finds the package, which is installed here."""
    return Path(shutil.copy(program, installed(folder, package)))
