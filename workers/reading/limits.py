"""How much one object and one study may make us read: limits, and the budget that a study uses up.

A limit is checked before memory is taken. What exceeds one is refused by name; the rest of the study is read.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from triage.errors import NotAssessable

MIB = 1 << 20
LIMIT_CODES = ("too_large", "too_complex", "too_slow")  # reason codes of what exceeds a limit

# Limits of one object's header. Enhanced MR objects of clinical studies have up to 5,000 frames with about 50 elements
# each; private elements have a few MiB.
MAX_ELEMENTS = 400_000
MAX_FRAMES = 20_000
MAX_DEPTH = 64
MAX_HEADER_BYTES = 128 * MIB
MAX_UNPACKED_BYTES = 1024 * MIB  # a deflated object, with its pixels

# Limits of one study. 5,000 objects of 400 elements are the largest seen.
STUDY_ELEMENTS = 4_000_000
STUDY_HEADER_BYTES = 768 * MIB
STUDY_DECODED_BYTES = 2048 * MIB  # as float32; five series of 512 x 512 x 352 voxels have 1,760 MiB
STUDY_CPU_S = 240.0  # of reading, in this thread: a slow disk is no fault of the study


@dataclass(frozen=True)
class HeaderSize:
    """What a header holds before its pixels. unpacked_bytes: of a deflated object in all, else 0."""

    elements: int = 0
    frames: int = 0
    depth: int = 0
    value_bytes: int = 0
    unpacked_bytes: int = 0


def check(size: HeaderSize) -> None:
    """Raises:
    NotAssessable: too_complex, too_large; the message names the limit.
    """
    if size.frames > MAX_FRAMES:
        raise NotAssessable("too_complex", f"an object describes more than {MAX_FRAMES} frames")
    if size.elements > MAX_ELEMENTS:
        raise NotAssessable("too_complex", f"a header holds more than {MAX_ELEMENTS} elements")
    if size.depth > MAX_DEPTH:
        raise NotAssessable("too_complex", f"a header nests sequences more than {MAX_DEPTH} deep")
    if size.value_bytes > MAX_HEADER_BYTES:
        raise NotAssessable("too_large", f"a header holds more than {MAX_HEADER_BYTES // MIB} MiB before its pixels")
    if size.unpacked_bytes > MAX_UNPACKED_BYTES:
        raise NotAssessable("too_large", f"a deflated file unpacks to more than {MAX_UNPACKED_BYTES // MIB} MiB")


class Budget:
    """What is left for one study. Each ``take`` checks before anything is allocated."""

    def __init__(self) -> None:
        self._elements = STUDY_ELEMENTS
        self._header_bytes = STUDY_HEADER_BYTES
        self._decoded_bytes = STUDY_DECODED_BYTES
        self._cpu_end_s = time.thread_time() + STUDY_CPU_S

    def take_header(self, size: HeaderSize) -> None:
        """Raises:
        NotAssessable: too_complex, too_large, too_slow; nothing is taken then.
        """
        self.check_time()
        if size.elements > self._elements:
            raise NotAssessable("too_complex", f"the headers of the study hold more than {STUDY_ELEMENTS} elements")
        if size.value_bytes > self._header_bytes:
            limit = STUDY_HEADER_BYTES // MIB
            raise NotAssessable("too_large", f"the headers of the study hold more than {limit} MiB")
        self._elements -= size.elements
        self._header_bytes -= size.value_bytes

    def take_decoded(self, count: int) -> None:
        """Raises:
        NotAssessable: too_large, too_slow; nothing is taken then.
        """
        self.check_time()
        if count > self._decoded_bytes:
            limit = STUDY_DECODED_BYTES // MIB
            raise NotAssessable("too_large", f"the images of the study hold more than {limit} MiB decoded")
        self._decoded_bytes -= count

    def check_time(self) -> None:
        """Raises:
        NotAssessable: too_slow.
        """
        if time.thread_time() > self._cpu_end_s:
            raise NotAssessable("too_slow", f"reading the study takes more than {STUDY_CPU_S:g} s of processor time")
