"""What settings, plans and senders know of each kind of output: a table without the renderers.

The receiving program and the command line read it, so it imports none of them. A new output has a line here and one in
``workers/outputs/all.py``.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class DicomKind:
    """What an output is in DICOM.

    sop_class: its SOP Class UID (PS3.4 B.5). class_name: in words. modality and description: of its series.
    """

    sop_class: str
    class_name: str
    modality: str
    description: str


@dataclass(frozen=True)
class OutputKind:
    """One kind.

    name: stands in settings and in the rows of deliveries. dicom: None: no DICOM object. turn: outputs of a lower turn
    are rendered first; 0 for what a person waits for. says_wrong: it says that an earlier decision was wrong; a command
    or a newer decision makes it.
    """

    name: str
    dicom: DicomKind | None = None
    turn: int = 0
    says_wrong: bool = False


SC, KOS = "1.2.840.10008.5.1.4.1.1.7", "1.2.840.10008.5.1.4.1.1.88.59"
# The place of a DICOM kind is the number of its series: a new one comes last.
KINDS = (
    OutputKind("document"),
    OutputKind(
        "sr",
        DicomKind("1.2.840.10008.5.1.4.1.1.88.34", "Comprehensive 3D SR", "SR", "ICANSee measurements (unverified)"),
        turn=1,
    ),
    OutputKind(
        "seg", DicomKind("1.2.840.10008.5.1.4.1.1.66.4", "Segmentation", "SEG", "ICANSee regions (unverified)"), turn=4
    ),
    OutputKind("sc", DicomKind(SC, "Secondary Capture", "OT", "ICANSee evidence picture (unverified)")),
    OutputKind(
        "sc_pages",
        DicomKind(f"{SC}.4", "Multi-frame True Color Secondary Capture", "OT", "ICANSee evidence pages (unverified)"),
        turn=2,
    ),
    OutputKind("kos", DicomKind(KOS, "Key Object Selection", "KO", "ICANSee key images (unverified)")),
    OutputKind(
        "reg",
        DicomKind(
            "1.2.840.10008.5.1.4.1.1.66.1", "Spatial Registration", "REG", "ICANSee follow-up to baseline (unverified)"
        ),
    ),
    OutputKind("retract", DicomKind(KOS, "Key Object Selection", "KO", "ICANSee results retracted"), says_wrong=True),
    OutputKind(
        "gsps",
        DicomKind(
            "1.2.840.10008.5.1.4.1.1.11.1",
            "Grayscale Softcopy Presentation State",
            "PR",
            "ICANSee outlines (unverified)",
        ),
    ),
    OutputKind(
        "pm", DicomKind("1.2.840.10008.5.1.4.1.1.30", "Parametric Map", "OT", "ICANSee change map (unverified)"), turn=5
    ),
    OutputKind(
        "pdf",
        DicomKind("1.2.840.10008.5.1.4.1.1.104.1", "Encapsulated PDF", "DOC", "ICANSee report (unverified)"),
        turn=3,
    ),
    OutputKind("outdated", DicomKind(KOS, "Key Object Selection", "KO", "ICANSee results outdated"), says_wrong=True),
    OutputKind("oru"),
    OutputKind("fhir"),
    OutputKind("webhook"),
    OutputKind("mail"),
    OutputKind("ups"),
    *(OutputKind(f"retract_{alert}", says_wrong=True) for alert in ("oru", "fhir", "webhook", "mail", "ups")),
)
DICOM_KINDS = {kind.name: kind.dicom for kind in KINDS if kind.dicom is not None}
