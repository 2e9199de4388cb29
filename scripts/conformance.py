"""The tables of the code in, docs/conformance.md (DICOM Conformance Statement) and docs/ihe.md out.

`python -m scripts.conformance` writes the pages; with `--check` it fails when one is not up to date.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydicom.uid import UID

from listener.associations import contexts
from listener.services import commitment, notifications
from workers.arrival.order_texts import STEP_TEXTS, TEXTS, WORKLIST_FIND
from workers.deliveries import to_ups
from workers.deliveries.to_dicom import CLASS_OF, SYNTAXES
from workers.files.part10 import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME
from workers.identities import ObjectAnswer
from workers.measured_classes import MEASURED_CLASSES
from workers.output_kinds import DICOM_KINDS
from workers.outputs.all import ON_REQUEST, OUTPUTS
from workers.outputs.dicom import codes
from workers.outputs.dicom.objects import SERIES, series_number
from workers.priors import dicom_archive
from workers.rejection_notes import SETS_ASIDE, TITLES
from workers.remote.find import STUDY_ROOT_FIND
from workers.remote.tls import CIPHERS
from workers.settings import ListenerSettings

DOCS = Path(__file__).parent.parent / "docs"
GENERATED = "This page is generated from the source: `make docs` writes it, and a test negotiates what it states.\n"


def conformance() -> str:
    """The DICOM Conformance Statement (PS3.2)."""
    return "".join(f"{part}\n" for part in (*_overview(), *_as_acceptor(), *_as_requestor(), *_produced(), *_rest()))


def ihe() -> str:
    """The IHE integration statement."""
    kinds = ", ".join(f"`{kind}`" for kind in _kinds())
    rows = [
        ("Measurements and qualitative findings", _made("sr"), "TID 1500, one TID 1411 group for each region"),
        ("Regions", _made("seg"), "binary, on the grid of the images"),
        ("Tracking identifiers", _made("sr"), "of each group, equal to that of the segment"),
        ("Image references", _made("kos"), "and the image library of the SR"),
        ("Parametric maps", _made("pm"), ""),
        ("Locations (points, ellipses)", "no", ""),
    ]
    transactions = [
        ("RAD-8, RAD-18", "images and results stored", "receives, sends", "scripts/demo.py"),
        ("RAD-43", "evidence documents stored", "sends", "tests/workers/deliveries/test_orthanc_takes_results.py"),
        ("RAD-10", "storage commitment", "receives, sends", "tests/listener/services"),
        ("RAD-6, RAD-7", "performed procedure step", "receives", "tests/listener/services"),
        ("RAD-49", "instance availability notification", "receives", "tests/listener/services"),
        ("RAD-5", "modality worklist", "asks", "tests/workers/priors/test_real_archives.py"),
        ("RAD-14, RAD-16", "query and retrieve images", "asks", "tests/workers/priors/test_real_archives.py"),
        ("RAD-12", "patient update (ADT)", "receives", "tests/workers/feeds/test_hl7_messages.py"),
        ("RAD-66", "rejection note stored (IOCM)", "receives", "tests/workers/studies/test_rejections.py"),
        ("RAD-80", "workitem created (UPS)", "sends", "tests/workers/deliveries/test_to_ups.py"),
        ("ITI-20", "record audit event, syslog over TLS", "sends", "tests/workers/audit/test_spool.py"),
    ]
    return "\n".join(
        [
            "# IHE integration statement",
            "",
            f"{GENERATED}The product was at no Connectathon. This is the statement of its makers.",
            "",
            "| profile | actor | options |",
            "|---|---|---|",
            "| AI Results (AIR) | Evidence Creator | none |",
            "",
            f"Result primitives of AIR that it produces (kinds of DICOM outputs: {kinds}):",
            "",
            *_table(("primitive", "produced as", "remarks"), rows),
            "",
            "Transactions of other profiles that it takes part in. It claims no actor of them: parts are missing.",
            "",
            *_table(("transaction", "what", "it", "shown by"), transactions),
            "",
            "Not supported: AI Workflow for Imaging (workitems ask a person for review; the program performs none),",
            "AI Result Assessment, XDS-I, XCA-I, and Consistent Time (the host keeps its time itself).",
            "",
        ]
    )


def _overview() -> Iterator[str]:
    listener = ListenerSettings()
    yield "# DICOM Conformance Statement"
    yield ""
    yield GENERATED
    yield "ICANSee receives brain MRI, decides about its priority, and sends results and, when it is told to, images."
    yield ""
    yield "## Real-world activities"
    yield ""
    yield from _table(
        ("activity", "by", "role"),
        [
            ("images and other objects are stored", "C-STORE, STOW-RS, a folder", "SCP, origin server"),
            ("somebody verifies the connection", "C-ECHO", "SCP"),
            ("a sender asks for commitment to what it sent", "N-ACTION, N-EVENT-REPORT", "SCP"),
            ("a modality or a PACS says what belongs to a study", "MPPS, availability notification", "SCP"),
            ("a worklist is asked for priority and reason of an order", "C-FIND", "SCU"),
            ("a PACS is asked how many images of a study it has (`arrival.query`)", "C-FIND", "SCU"),
            ("an archive is asked for earlier images", "C-FIND, C-GET or C-MOVE, QIDO-RS, WADO-RS", "SCU, user agent"),
            ("results and images are sent", "C-STORE, STOW-RS", "SCU, user agent"),
            (
                "a worklist gets a workitem that asks for review",
                "UPS N-CREATE, N-SET and N-ACTION, UPS-RS",
                "SCU, user agent",
            ),
            ("the receiver of results is asked for commitment", "N-ACTION, N-EVENT-REPORT", "SCU"),
            ("a person checks the settings (`icansee config check --connect`)", "C-ECHO, C-FIND", "SCU"),
        ],
    )
    yield ""
    yield "## Application entity"
    yield ""
    yield from _table(
        ("", "value"),
        [
            ("AE title", f"{listener.ae_title} (`listener.ae_title`)"),
            ("TCP port", f"{listener.port} (`listener.port`)"),
            ("implementation class UID", IMPLEMENTATION_CLASS_UID),
            ("implementation version name", IMPLEMENTATION_VERSION_NAME),
            ("largest PDU", f"{listener.max_pdu_bytes} bytes (`listener.max_pdu_bytes`)"),
            ("associations at once", f"{listener.max_associations} (`listener.max_associations`)"),
            ("asynchronous operations", "none"),
        ],
    )
    yield ""
    yield "Callers are admitted by AE title, address and certificate (`listener.peers`); without peers only this"
    yield "machine is."


def _as_acceptor() -> Iterator[str]:
    yield ""
    yield "## Associations that it accepts"
    yield ""
    yield "### Services"
    yield ""
    services = [
        (contexts.VERIFICATION, "always"),
        (commitment.PUSH_MODEL, "`commitment.enabled`"),
        (notifications.MPPS, "`arrival.mpps`"),
        (notifications.AVAILABILITY, "`arrival.availability_notices`"),
    ]
    yield from _table(("SOP class", "UID", "role", "when"), [(_name(u), u, "SCP", when) for u, when in services])
    yield ""
    yield "Transfer syntaxes of services:"
    yield ""
    yield from _table(("transfer syntax", "UID"), _named(contexts.UNCOMPRESSED))
    yield ""
    yield "### Storage"
    yield ""
    yield "Role SCP. Each class in each transfer syntax; of several in one context the first that the sender proposes"
    yield "is taken. `listener.extra_storage_classes` adds classes. Anything else is refused."
    yield ""
    yield from _table(("SOP class", "UID"), _named(contexts.STORAGE_CLASSES))
    yield ""
    yield "Transfer syntaxes of storage:"
    yield ""
    yield from _table(("transfer syntax", "UID"), _named(contexts.TRANSFER_SYNTAXES))
    yield ""
    yield "An object is durable on the disk before it is answered with 0x0000. The same object again is answered with"
    yield "0x0000, too, and kept once. Objects are kept as they came; no element is coerced. Too little space: 0xA700."
    yield ""
    yield "### Rejection notes"
    yield ""
    yield "A Key Object Selection with one of these document titles (IHE IOCM) is a rejection note. It rejects what"
    yield "its content references or, without a content, its evidence. They stay stored."
    yield ""
    wrong = "set aside, unless the same images came again with the identity that is in force"
    what = {ObjectAnswer.REJECTED: "set aside", ObjectAnswer.MISIDENTIFIED: wrong, None: "used as before"}
    rows = [(code, "DCM", words, what[SETS_ASIDE.get(code)]) for code, words in TITLES.items()]
    yield from _table(("code", "scheme", "meaning", "its objects are"), rows)


def _as_requestor() -> Iterator[str]:
    yield ""
    yield "## Associations that it opens"
    yield ""
    uncompressed = "Implicit or Explicit VR Little Endian"
    rows = [(_name(contexts.VERIFICATION), contexts.VERIFICATION, "SCU", uncompressed)]
    rows += [(_name(uid), uid, "SCU", ", ".join(map(_name, SYNTAXES.values()))) for uid in _result_classes()]
    rows += [
        ("Storage of images", "as received", "SCU", "as received"),
        (_name(commitment.PUSH_MODEL), commitment.PUSH_MODEL, "SCU", uncompressed),
        (_name(to_ups.PUSH), to_ups.PUSH, "SCU", uncompressed),
        (_name(to_ups.PULL), to_ups.PULL, "SCU (N-SET only)", uncompressed),
        (_name(WORKLIST_FIND), WORKLIST_FIND, "SCU", uncompressed),
        (_name(STUDY_ROOT_FIND), STUDY_ROOT_FIND, "SCU", uncompressed),
        (_name(dicom_archive.STUDY_ROOT_MOVE), dicom_archive.STUDY_ROOT_MOVE, "SCU", uncompressed),
        (_name(dicom_archive.STUDY_ROOT_GET), dicom_archive.STUDY_ROOT_GET, "SCU", uncompressed),
    ]
    taken = "; ".join(map(_name, dicom_archive.SYNTAXES))
    rows += [(_name(uid), uid, "SCP (of C-GET)", taken) for uid in MEASURED_CLASSES]
    yield from _table(("SOP class", "UID", "role", "transfer syntaxes"), rows)
    yield ""
    yield "A result goes in a presentation context of its own for each transfer syntax of `transfer_syntaxes`. An image"
    yield "is offered in the transfer syntax that it has and never converted. User identity (user name, with or without"
    yield "a passcode) can be sent. A refusal for good is not repeated; anything else is (docs/rules.md,"
    yield "docs/pacs-administrator.md)."
    yield ""
    yield "A worklist is asked with Accession Number, or without one with Patient ID, and returns Requested Procedure"
    yield f"Priority, Study Instance UID, Modality and the texts {', '.join((*TEXTS, *STEP_TEXTS))}."
    yield "A PACS is asked for numbers with Study Instance UID at the level of `arrival.query`; an archive"
    yield "with Patient ID and a range of Study Date at STUDY level, then with the UIDs at SERIES and IMAGE level,"
    yield f"and returns at STUDY level {', '.join(dicom_archive.STUDY_KEYS)}."
    yield "An answer that does not end with status 0x0000 counts as none."


def _produced() -> Iterator[str]:
    yield ""
    yield "## Objects that it produces"
    yield ""
    yield "In the study of the follow-up, one series for each kind; UIDs are derived from study, revision and kind."
    yield ""
    rows = [
        (
            kind,
            _name(CLASS_OF[kind]),
            CLASS_OF[kind],
            DICOM_KINDS[kind].modality,
            str(series_number(kind)),
            SERIES[kind],
        )
        for kind in _kinds()
    ]
    yield from _table(("kind", "SOP class", "UID", "modality", "series number", "series description"), rows)
    yield ""
    yield "Modules and templates: [dicom-results.md](dicom-results.md). Codes:"
    yield ""
    yield from _table(("code", "scheme", "meaning", "verified in"), sorted(set(_codes(vars(codes).values()))))


def _rest() -> Iterator[str]:
    from pydicom.charset import python_encoding

    yield ""
    yield "## Character sets"
    yield ""
    yield "Results are written in ISO_IR 192. Received objects are kept as they are and read in:"
    yield ""
    yield ", ".join(sorted(term for term in python_encoding if term)) + "."
    yield ""
    yield "## Security"
    yield ""
    yield f"BCP 195 TLS (PS3.15 B.12) on both sides: TLS 1.2 or newer, cipher suites `{CIPHERS}`. Client certificates"
    yield "are asked for with `client_ca` of `listener.tls` and sent with `certificate` of the `tls` of a"
    yield "destination or an archive."
    yield "Audit trail: PS3.15 A.5 messages over syslog with TLS (RFC 5424, RFC 5425)."
    yield ""
    yield "## DICOMweb"
    yield ""
    yield from _table(
        ("service", "role", "media types"),
        [
            ("STOW-RS", "origin server", "multipart/related; type=application/dicom"),
            ("STOW-RS", "user agent", "multipart/related; type=application/dicom, one object in a request"),
            ("QIDO-RS", "user agent", "application/dicom+json"),
            ("WADO-RS", "user agent", "multipart/related; type=application/dicom"),
            ("UPS-RS (create, update, request cancellation)", "user agent", "application/dicom+json"),
        ],
    )


def _kinds() -> list[str]:
    return [output.kind for output in (*OUTPUTS, *ON_REQUEST) if output.kind in CLASS_OF]


def _result_classes() -> list[str]:
    return list(dict.fromkeys(CLASS_OF[kind] for kind in _kinds()))


def _made(kind: str) -> str:
    return f"{_name(CLASS_OF[kind])} (`{kind}`)" if kind in _kinds() else "no"


def _codes(values: Iterable[Any]) -> Iterator[tuple[str, str, str, str]]:
    for value in values:
        if isinstance(value, codes.Verified):
            yield value.code.value, value.code.scheme_designator, value.code.meaning, value.source
        elif isinstance(value, dict):
            yield from _codes(value.values())


def _named(uids: Iterable[str]) -> list[tuple[str, str]]:
    return [(_name(uid), uid) for uid in sorted(uids, key=lambda uid: [int(part) for part in uid.split(".")])]


def _name(uid: str) -> str:
    return str(UID(uid).name).partition(": Default")[0]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


PAGES = {"conformance.md": conformance, "ihe.md": ihe}


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or say with --check whether they are up to date."""
    old = [name for name, made in PAGES.items() if not _is_up_to_date(DOCS / name, made())]
    if "--check" in arguments:
        for name in old:
            sys.stderr.write(f"docs/{name} is not up to date: run `make docs`\n")
        return 1 if old else 0
    for name in old:
        (DOCS / name).write_text(PAGES[name](), encoding="utf-8")
    return 0


def _is_up_to_date(path: Path, wanted: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == wanted


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
