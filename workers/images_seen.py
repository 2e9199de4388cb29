"""The SOP Instance UIDs of a study's images in, a short value that tells two sets of images apart out. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any


def images_seen(sop_instance_uids: Iterable[str]) -> dict[str, Any]:
    """JSON types: how many images, and a digest of their UIDs. The order does not matter."""
    uids = sorted(set(sop_instance_uids))
    return {"count": len(uids), "sha256": hashlib.sha256("\n".join(uids).encode()).hexdigest()}
