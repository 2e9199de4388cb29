"""One object in, the place of each frame's values out: classic attributes, functional groups, private blocks."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from workers.reading.values import first_item, plain_text, value_of

_CONVERTED = "ConvertedAttributesSequence"


class Private:
    """One dataset with its private blocks looked up once: creator name -> its blocks. Some programs reserve two."""

    def __init__(self, ds: Any) -> None:
        self._ds = ds
        self._blocks: dict[tuple[int, str], list[int]] = defaultdict(list)
        for tag in ds.keys():  # noqa: SIM118 - iterating the dataset would convert every element
            if tag.group % 2 and 0x10 <= tag.element <= 0xFF and (creator := value_of(ds, tag)) is not None:
                self._blocks[tag.group, plain_text(creator.value).upper()].append(tag.element)

    def get(self, group: int, creator: str, element: int) -> Any:
        """The value, or None."""
        for block in self._blocks.get((group, creator.upper()), ()):
            found = value_of(self._ds, (group, (block << 8) | element))
            if found is not None and found.value not in (None, "", b""):
                return found.value
        return None

    def __bool__(self) -> bool:
        return bool(self._blocks)


class Groups:
    """Looks a macro up in the frame's own functional groups, then the shared ones, then the top level of the object.

    converted: what an archive that made the object of classic ones found no macro for (PS3.3 C.7.6.16.2.25): the
    elements as classic objects have them, of the frame first.
    """

    def __init__(
        self,
        top: Any,
        places: Sequence[Any] = (),
        private: Sequence[Private] = (),
        converted: Sequence[Any] = (),
    ) -> None:
        self._top = top
        self._places = places
        self.private_places = private
        self.converted = converted

    def get(self, macro: str, keyword: str) -> Any:
        for place in self._places:
            item = first_item(place, macro) if macro else None
            found = None if item is None else value_of(item, keyword)
            if found is not None:
                return found
        return next((v for one in (*self.converted, self._top) if (v := value_of(one, keyword)) is not None), None)

    def written(self, macro: str, keyword: str) -> Any:
        """The value as it is written, also one that does not fit its VR; None: there is no such element."""
        items = [first_item(place, macro) for place in self._places] if macro else []
        for item in (*items, *self.converted, self._top):
            if item is not None and keyword in item:
                found = item.get_item(keyword).value
                return "" if found is None else found
        return None

    def item(self, macro: str) -> Any:
        for place in (*self._places, self._top):
            found = first_item(place, macro)
            if found is not None:
                return found
        return None

    def private(self, group: int, creator: str, element: int) -> Any:
        """A private value from the object, its groups, or one sequence level below (Siemens XA)."""
        for place in self.private_places:
            found = place.get(group, creator, element)
            if found is not None:
                return found
        return None


def groups_of(ds: Any) -> list[Groups]:
    """One lookup per frame; what the frames share is prepared once."""
    per_frame = value_of(ds, "PerFrameFunctionalGroupsSequence") or ()
    shared = (value_of(ds, "SharedFunctionalGroupsSequence") or ())[:1]
    common = [p for p in (Private(ds), *(q for place in shared for q in _private_below(place))) if p]
    # not NumberOfFrames: only frames with functional groups have a place, and a hostile count would fill the memory
    count = max(len(per_frame), 1)
    found = []
    of_all = [one for place in shared if (one := first_item(place, f"UnassignedShared{_CONVERTED}")) is not None]
    for n in range(count):
        own = per_frame[n : n + 1]
        of_frame = [one for place in own if (one := first_item(place, f"UnassignedPerFrame{_CONVERTED}")) is not None]
        private = [p for place in own for p in _private_below(place) if p]
        private += [p for p in map(Private, (*of_frame, *of_all)) if p]
        found.append(Groups(ds, [*own, *shared], [*common, *private], [*of_frame, *of_all]))
    return found


def _private_below(place: Any) -> list[Private]:
    tags = [t for t in place.keys() if t.group % 2 and t.element > 0xFF]  # noqa: SIM118 - as in Private
    nested = [place[t].value[0] for t in tags if place[t].VR == "SQ" and place[t].value]
    return [Private(ds) for ds in (place, *nested, *(value_of(place, "MRImageFrameTypeSequence") or ())[:1])]
