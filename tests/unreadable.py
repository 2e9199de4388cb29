"""A folder that the disk does not give now; root reads every folder, whatever its mode says."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest


def make_unreadable(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Until the end of the patch."""
    real = os.scandir

    def scandir(path: Any = ".") -> Any:
        if Path(path) == folder:
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
