"""The files of the browser's viewer beside a decision: how a volume is packed, and how one slice or all of it is read.

``viewer.json`` names the volumes. Each volume is one gzip stream of raw voxels, C order (head, back, left); the stream
is flushed after every axial slice, so that one slice is read without the others. No heavy library: the web process
reads them.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

INDEX = "viewer.json"
NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")
COMPRESSION = 1  # zlib's fastest: the assessment waits for it
GZIP, RAW = 31, -15  # zlib's wbits
CHUNK = 1 << 18
MOST_SLICE_BYTES = 1 << 24


class Slices(Protocol):
    """What is packed: an array whose first axis counts the axial slices."""

    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> Any: ...


class DamagedVolume(Exception):  # noqa: N818 - a state of the files, as Transient is
    """A file of the viewer does not hold what its index says."""


def file_name(volume: str) -> str:
    return f"viewer-{volume}.raw.gz"


def packed(voxels: Slices) -> tuple[bytes, list[int]]:
    """The gzip stream of a volume, and where each axial slice begins in it; the last number is the end of the last."""
    pack = zlib.compressobj(COMPRESSION, zlib.DEFLATED, GZIP)
    parts, offsets, length = [], [], 0
    for number in range(len(voxels)):
        if number == 0:
            parts.append(
                pack.compress(b"") + pack.flush(zlib.Z_FULL_FLUSH)
            )  # the header, so that slice 0 is like others
            length = len(parts[0])
        offsets.append(length)
        parts.append(pack.compress(voxels[number].tobytes()) + pack.flush(zlib.Z_FULL_FLUSH))
        length += len(parts[-1])
    return b"".join([*parts, pack.flush()]), [*offsets, length]


class ViewerFolder:
    """The viewer's files in the folder of one decision.

    Raises (all methods):
        FileNotFoundError: there are none.
        DamagedVolume: they are not as they were written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def index(self) -> Mapping[str, Any]:
        try:
            found = json.loads((self._folder / INDEX).read_bytes())
        except ValueError:
            raise DamagedVolume(f"{INDEX} is no JSON") from None
        if not isinstance(found, dict) or not isinstance(found.get("volumes"), list):
            raise DamagedVolume(f"{INDEX} names no volumes")
        return found

    def volume(self, name: str) -> Mapping[str, Any] | None:
        """What the index says of one volume; None: there is no such volume."""
        found: Mapping[str, Any] | None = next(
            (one for one in self.index()["volumes"] if one.get("name") == name), None
        )
        return found

    def path(self, name: str) -> Path:
        """The file of a volume that the index names.

        Raises:
            FileNotFoundError: the index names no such volume.
        """
        if not NAME.fullmatch(name) or self.volume(name) is None:
            raise FileNotFoundError(name)
        return self._folder / file_name(name)

    def axial(self, name: str, number: int) -> bytes | None:
        """The raw voxels of one axial slice, lowest first; None: there is no such slice."""
        path, row = self.path(name), self.volume(name) or {}
        offsets: Sequence[int] = row.get("slices", ())
        if not 0 <= number < len(offsets) - 1:
            return None
        with path.open("rb") as file:
            file.seek(offsets[number])
            content = file.read(offsets[number + 1] - offsets[number])
        try:
            return zlib.decompressobj(RAW).decompress(content, MOST_SLICE_BYTES)
        except zlib.error as error:
            raise DamagedVolume(f"{path.name}: slice {number} cannot be unpacked") from error

    def unpacked(self, name: str) -> Iterator[bytes]:
        """The raw voxels of a volume, a piece at a time."""
        path = self.path(name)
        unpack = zlib.decompressobj(GZIP)
        with path.open("rb") as file:
            try:
                while content := file.read(CHUNK):
                    yield unpack.decompress(content)
            except zlib.error as error:
                raise DamagedVolume(f"{path.name} cannot be unpacked") from error
