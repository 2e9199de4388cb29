"""A series in, one that highdicom can refer to out; afterwards its references in the object are put right.

highdicom refers to classic images of one series, or to one enhanced object. A scanner also stores the slices or slabs
of one FLAIR in several enhanced objects, and a gateway gives each slice a series of its own. The object is then built
on stand-ins: one classic image of one series for each two-dimensional image. ``put_right`` names the real objects in
their place, with the numbers of their frames.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, replace

from pydicom import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import MRImageStorage

from workers.outputs.sources import SourceInstance, SourcePicture, SourceSeries

STAND_IN = "2.25."  # and the place of the picture, from 1; nothing of it stays in the object
OF_SERIES = ("ReferencedInstanceSequence", "ReferencedImageSequence", "ReferencedSOPSequence")


@dataclass(frozen=True)
class Referred:
    """series: what the object is built on. real: the stand-ins in it; empty: it is the series itself."""

    series: SourceSeries
    real: Mapping[str, SourcePicture]


def referred(series: SourceSeries) -> Referred:
    """What an object can be built on that refers to the images of a series: parallel ones, in one direction to the last
    digit."""
    along = series.parallel[0].plane.orientation if series.parallel else ()
    if series.is_plain:
        return Referred(replace(series, instances=tuple(_turned(one, along) for one in series.instances)), {})
    real = {f"{STAND_IN}{number}": picture for number, picture in enumerate(series.parallel, 1)}
    standing_in = tuple(_turned(_stand_in(uid, one), along) for uid, one in real.items())
    return Referred(replace(series, instances=standing_in), real)


def put_right(ds: Dataset, referred: Referred) -> None:
    """Name the real objects in place of the stand-ins, in every reference of an object.

    Raises:
        ValueError: a stand-in stays.
    """
    if referred.real:
        _put_right(ds, referred)
        if _left(ds, referred.real):
            raise ValueError("a reference to an image that is made up stays in the object")


def _turned(instance: SourceInstance, along: tuple[float, ...]) -> SourceInstance:
    if instance.planes:
        return replace(instance, planes=tuple(replace(one, orientation=along) for one in instance.planes))
    return replace(instance, orientation=along)


def _stand_in(uid: str, picture: SourcePicture) -> SourceInstance:
    return replace(picture.alone, sop_class_uid=str(MRImageStorage), sop_instance_uid=uid, series_instance_uid="")


def _put_right(ds: Dataset, referred: Referred) -> None:
    for element in ds:
        if element.VR != "SQ":
            continue
        if element.keyword == "ReferencedSeriesSequence":
            element.value = Items([new for item in element.value for new in _series(item, referred)])
        elif any(item.get("ReferencedSOPInstanceUID") in referred.real for item in element.value):
            element.value = Items(_merged(element.value, referred.real))
        else:
            for item in element.value:
                _put_right(item, referred)


def _series(item: Dataset, referred: Referred) -> list[Dataset]:
    """One item for each series that the objects of the item are really in."""
    name = next((one for one in OF_SERIES if one in item), None)
    if name is None or not any(one.get("ReferencedSOPInstanceUID") in referred.real for one in item[name].value):
        return [item]
    own = {one.instance.sop_instance_uid: one.instance.series_instance_uid for one in referred.real.values()}
    members: dict[str, list[Dataset]] = defaultdict(list)
    for one in _merged(item[name].value, referred.real):
        members[own.get(one.ReferencedSOPInstanceUID) or item.SeriesInstanceUID].append(one)
    found = []
    for uid, some in members.items():
        new = deepcopy(item)
        new.SeriesInstanceUID = uid
        new[name].value = Items(some)
        found.append(new)
    return found


def _merged(items: Iterable[Dataset], real: Mapping[str, SourcePicture]) -> list[Dataset]:
    """Each real object once, with the frames that are meant unless all are."""
    found: dict[str, Dataset] = {}
    frames: dict[str, list[int]] = defaultdict(list)
    counts: dict[str, int] = {}
    for item in items:
        picture = real.get(item.ReferencedSOPInstanceUID)
        if picture is not None:
            item.ReferencedSOPClassUID = picture.instance.sop_class_uid
            item.ReferencedSOPInstanceUID = picture.instance.sop_instance_uid
            counts[picture.instance.sop_instance_uid] = picture.instance.frames
            frames[picture.instance.sop_instance_uid] += [picture.frame] if picture.frame is not None else []
        found.setdefault(item.ReferencedSOPInstanceUID, item)
    for uid, some in frames.items():
        numbers = sorted(set(some))
        if 0 < len(numbers) < counts[uid]:
            found[uid].ReferencedFrameNumber = numbers if len(numbers) > 1 else numbers[0]
    return list(found.values())


def _left(ds: Dataset, names: Mapping[str, SourcePicture]) -> bool:
    return any(
        (element.VR == "UI" and element.value in names)
        or (element.VR == "SQ" and any(_left(item, names) for item in element.value))
        for element in ds
    )
