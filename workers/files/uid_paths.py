"""UIDs as names of files: which ones may be, and where their file lies."""

from __future__ import annotations

import hashlib
import re

UID = re.compile(r"[0-9]+(?:\.[0-9]+)*\Z")
MAX_UID_LENGTH = 64  # PS3.5 section 9.1


def valid_uid(text: str) -> bool:
    """Digits and dots without empty components, at most 64 characters: safe as a file name.

    Leading zeros in a component are against PS3.5 section 9.1, but harmless here and sent by real devices: they pass.
    """
    return len(text) <= MAX_UID_LENGTH and UID.match(text) is not None


def relative_path(sop_instance_uid: str) -> str:
    """Where an instance lies under the store folder; hashing spreads instances evenly over 256 folders."""
    return f"{folder_of(sop_instance_uid)}/{sop_instance_uid}.dcm"


def folder_of(sop_instance_uid: str) -> str:
    """Two hexadecimal digits."""
    return hashlib.sha256(sop_instance_uid.encode()).hexdigest()[:2]


def folders() -> list[str]:
    """Names of the folders under the store folder."""
    return [f"{n:02x}" for n in range(256)]
