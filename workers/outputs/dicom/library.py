"""Image series in, the image library of a report out (TID 1600): what all images of a series share stands once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from highdicom import sr
from pydicom import Dataset
from pydicom.sr.codedict import codes as public

from workers.outputs.dicom.objects import picture_stubs
from workers.outputs.sources import SourceSeries, SourceStudy

Picture = tuple[Dataset, int | None]  # header of an image, and the number of a frame
SOURCE = sr.CodedConcept("260753009", "SCT", "Source")
SHARED = ("Rows", "Columns", "PixelSpacing", "SliceThickness", "ImageOrientationPatient")
# descriptors of TID 1604 that differ from image to image
OWN = {public.DCM.ImagePositionPatientX, public.DCM.ImagePositionPatientY, public.DCM.ImagePositionPatientZ}


def image_library(series: Iterable[tuple[SourceStudy, SourceSeries]]) -> sr.ContainerContentItem | None:
    """A group for each series with images that say where they lie; None: there is none.

    highdicom's own library repeats every descriptor at every image. That made the report four times as large, and most
    of the time to render it.
    """
    groups = [_group(images) for study, one in series if (images := _placed(picture_stubs(study, one)))]
    if not groups:
        return None
    library = sr.ContainerContentItem(public.DCM.ImageLibrary, relationship_type="CONTAINS")
    library.ContentSequence = sr.ContentSequence(groups)
    return library


def _placed(images: Sequence[Picture]) -> list[Picture]:
    return [one for one in images if "ImagePositionPatient" in one[0]]


def _group(images: Sequence[Picture]) -> sr.ContainerContentItem:
    first = images[0][0]
    alike = all(one[name].value == first[name].value for one, _ in images for name in SHARED)
    descriptors = _said(first)
    shared = [one for one in descriptors if one.name not in OWN] if alike else []
    group = sr.ContainerContentItem(public.DCM.ImageLibraryGroup, relationship_type="CONTAINS")
    group.ContentSequence = sr.ContentSequence([*shared, *(_entry(one, alike=alike) for one in images)])
    return group


def _said(image: Dataset) -> list[sr.ContentItem]:
    """Descriptors that have a value: an image may have no frame of reference."""
    return [one for one in sr.ImageLibraryEntryDescriptors(image) if one.get("UID", "given")]


def _entry(picture: Picture, *, alike: bool) -> sr.ImageContentItem:
    image, frame = picture
    item = sr.ImageContentItem(
        SOURCE, image.SOPClassUID, image.SOPInstanceUID, referenced_frame_numbers=frame, relationship_type="CONTAINS"
    )
    own = _position(image) if alike else _said(image)
    item.ContentSequence = sr.ContentSequence(own)
    return item


def _position(image: Dataset) -> list[sr.NumContentItem]:
    names = (public.DCM.ImagePositionPatientX, public.DCM.ImagePositionPatientY, public.DCM.ImagePositionPatientZ)
    unit = public.UCUM.Millimeter
    return [
        sr.NumContentItem(name, value, unit, relationship_type="HAS ACQ CONTEXT")
        for name, value in zip(names, image.ImagePositionPatient, strict=True)
    ]
