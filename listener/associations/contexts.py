"""Which storage classes and transfer syntaxes the node takes; presentation contexts built for one association request.

Only what a request proposes is built: copying every class with every transfer syntax costs 35 ms per association.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from workers.settings import ListenerSettings

VERIFICATION = "1.2.840.10008.1.1"

# PS3.6 Annex A; each was received and its pixels read back exactly, or (lossy ones) has a decoder in the environment
TRANSFER_SYNTAXES = frozenset(
    (
        "1.2.840.10008.1.2",  # Implicit VR Little Endian
        "1.2.840.10008.1.2.1",  # Explicit VR Little Endian
        "1.2.840.10008.1.2.1.99",  # Deflated Explicit VR Little Endian
        "1.2.840.10008.1.2.2",  # Explicit VR Big Endian
        "1.2.840.10008.1.2.5",  # RLE Lossless
        "1.2.840.10008.1.2.4.50",  # JPEG Baseline
        "1.2.840.10008.1.2.4.51",  # JPEG Extended
        "1.2.840.10008.1.2.4.57",  # JPEG Lossless
        "1.2.840.10008.1.2.4.70",  # JPEG Lossless, first-order prediction
        "1.2.840.10008.1.2.4.80",  # JPEG-LS Lossless
        "1.2.840.10008.1.2.4.81",  # JPEG-LS Near-Lossless
        "1.2.840.10008.1.2.4.90",  # JPEG 2000 Lossless
        "1.2.840.10008.1.2.4.91",  # JPEG 2000
        "1.2.840.10008.1.2.4.201",  # HTJ2K Lossless
        "1.2.840.10008.1.2.4.202",  # HTJ2K Lossless RPCL
        "1.2.840.10008.1.2.4.203",  # HTJ2K
    )
)
UNCOMPRESSED = frozenset(("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"))

_STORAGE = "1.2.840.10008.5.1.4.1.1."
STORAGE_CLASSES = frozenset(
    _STORAGE + suffix
    for suffix in (
        "4",  # MR Image
        "4.1",  # Enhanced MR Image
        "4.2",  # MR Spectroscopy
        "4.3",  # Enhanced MR Color Image
        "4.4",  # Legacy Converted Enhanced MR Image
        "7",  # Secondary Capture and its multi-frame kinds
        "7.1",
        "7.2",
        "7.3",
        "7.4",
        "11.1",  # Presentation States: Grayscale, Color, Pseudo-Color, Blending, XA/XRF, planar MPR, volume rendering
        "11.2",
        "11.3",
        "11.4",
        "11.5",
        "11.6",
        "11.7",
        "11.8",
        "11.9",
        "11.10",
        "11.11",
        "11.12",
        "30",  # Parametric Map
        "66",  # Raw Data
        "66.1",  # Spatial Registration, Spatial Fiducials, Deformable Spatial Registration
        "66.2",
        "66.3",
        "66.4",  # Segmentation, Surface Segmentation, Tractography Results, Label Map Segmentation
        "66.5",
        "66.6",
        "66.7",
        "67",  # Real World Value Mapping
        "88.11",  # Structured Reports: Basic Text, Enhanced, Comprehensive, Comprehensive 3D, Extensible
        "88.22",
        "88.33",
        "88.34",
        "88.35",
        "88.59",  # Key Object Selection
        "88.71",  # Acquisition Context SR
        "88.74",  # Planned and Performed Imaging Agent Administration SR (contrast medium)
        "88.75",
        "104.1",  # Encapsulated PDF
    )
)


# A PACS that reports on an association of its own calls us as the SCP of storage commitment (PS3.4 section J.3.3).
EITHER_ROLE = ("1.2.840.10008.1.20.1",)


def storage_classes(settings: ListenerSettings) -> frozenset[str]:
    """The storage SOP classes this node takes."""
    return STORAGE_CLASSES | frozenset(settings.extra_storage_classes)


def accepted_syntaxes(
    proposed: Iterable[tuple[str, Iterable[str]]],
    classes: frozenset[str],
    services: frozenset[str] = frozenset((VERIFICATION,)),
) -> dict[str, list[str]]:
    """Per accepted abstract syntax the transfer syntaxes to accept, in the requestor's order.

    The acceptor chooses among the transfer syntaxes of a context. The first one it proposed is the one that the sender
    likes best, usually the one its files are in: taking it saves the sender a conversion.

    Args:
        proposed: (abstract syntax, transfer syntaxes) of each proposed presentation context.
        classes: the storage classes of this node.
        services: SOP classes of other services; these take uncompressed syntaxes only.
    """
    accepted: dict[str, list[str]] = {}
    for abstract, transfers in proposed:
        known = TRANSFER_SYNTAXES if abstract in classes else UNCOMPRESSED if abstract in services else frozenset()
        wanted = [transfer for transfer in transfers if transfer in known]
        if wanted:
            accepted[abstract] = list(dict.fromkeys(accepted.get(abstract, []) + wanted))
    return accepted


def supported_contexts(accepted: Mapping[str, list[str]]) -> list[Any]:
    """pynetdicom presentation contexts for what accepted_syntaxes chose."""
    from pynetdicom.presentation import build_context

    found = [build_context(abstract, transfers) for abstract, transfers in accepted.items()]
    for context in found:
        if context.abstract_syntax in EITHER_ROLE:  # only where the requestor asks for a role
            context.scu_role = context.scp_role = True
    return found


def register_extra_classes(settings: ListenerSettings) -> None:
    """Make pynetdicom serve C-STORE for classes that it does not know (private or newer than it)."""
    from pynetdicom import register_uid
    from pynetdicom.service_class import StorageServiceClass
    from pynetdicom.sop_class import uid_to_service_class

    for number, uid in enumerate(settings.extra_storage_classes):
        if uid_to_service_class(uid) is not StorageServiceClass:
            register_uid(uid, f"ConfiguredStorage{number}", StorageServiceClass)
