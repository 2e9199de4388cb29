"""Keeps the memory of a receiving process small: libraries that it does not need are hidden before anything imports
them.

Receiving decodes no pixels. pydicom imports every installed decoder, which costs 60 MB of memory in each process;
structlog imports rich, for 12 MB."""

from __future__ import annotations

import ctypes
import gc
import sys
from contextlib import suppress
from typing import Any

DECODERS = ("numpy", "PIL", "gdcm", "pylibjpeg", "openjpeg", "rle", "jpeg_ls")
TERMINALS = ("rich", "pygments")


def keep_decoders_out() -> None:
    """For a process that only receives. Modules that are loaded already stay."""
    absent: dict[str, Any] = dict.fromkeys(DECODERS + TERMINALS)
    sys.modules.update({name: value for name, value in absent.items() if name not in sys.modules})


def start_small() -> None:
    """For a process that only receives, before it imports anything else. pydicom's dictionaries take 50 MB for a
    moment: it is loaded while the process is small, and the memory goes back to the system."""
    keep_decoders_out()
    import pydicom  # noqa: F401

    with suppress(AttributeError, OSError):  # glibc only
        ctypes.CDLL(None).malloc_trim(0)


def settle() -> None:
    """For a process that has loaded and built all that it will keep: the garbage collector never looks at it again."""
    gc.collect()
    gc.freeze()
