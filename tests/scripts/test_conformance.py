"""docs/conformance.md and docs/ihe.md: up to date, and true of a listener that runs and of objects that are made."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.uid import UID
from pynetdicom import AE

from scripts import conformance
from tests.listener.harness import Node, running
from tests.workers.outputs.dicom.result_builders import a_decision
from workers.deliveries.to_dicom import CLASS_OF
from workers.outputs.all import OUTPUTS

PAGE = (conformance.DOCS / "conformance.md").read_text(encoding="utf-8")
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
MOST_CONTEXTS = 128  # PS3.8 section 9.3.2.2
NOT_STATED = [  # (SOP class, transfer syntax)
    pytest.param("1.2.840.10008.5.1.4.1.1.2", EXPLICIT, id="CT"),
    pytest.param("1.2.840.10008.5.1.4.1.1.481.1", EXPLICIT, id="RT image"),
    pytest.param("1.2.826.0.1.3680043.9.9999.1", EXPLICIT, id="private class"),
    pytest.param("1.2.840.10008.5.1.4.1.2.2.1", IMPLICIT, id="a query"),
    pytest.param("1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.1.2.4.100", id="MR as MPEG-2"),
    pytest.param("1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.1.2.4.110", id="MR as JPEG XL"),
    pytest.param("1.2.840.10008.1.1", "1.2.840.10008.1.2.4.90", id="an echo in JPEG 2000"),
]


def rows_under(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading or a line of the page."""
    lines = iter(PAGE.split(f"\n{heading}\n", 1)[1].splitlines())
    table = []
    for line in lines:
        if line.startswith("| "):
            table.append([cell.strip() for cell in line.strip("|").split("|")])
        elif table and not line.startswith("|"):
            break
    return table[1:]


STORAGE = [row[1] for row in rows_under("### Storage")]
STORAGE_SYNTAXES = [row[1] for row in rows_under("Transfer syntaxes of storage:")]
SERVICES = [row[1] for row in rows_under("### Services")]
SERVICE_SYNTAXES = [row[1] for row in rows_under("Transfer syntaxes of services:")]


@pytest.fixture(scope="module")
def node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    with running(tmp_path_factory.mktemp("conformance")) as one:
        yield one


def accepted(node: Node, pairs: Sequence[tuple[str, str]]) -> set[tuple[str, str]]:
    """What the listener takes of these pairs of SOP class and transfer syntax, each in a context of its own."""
    ae = AE(ae_title="TEST")
    for sop_class, syntax in pairs:
        ae.add_requested_context(sop_class, syntax)
    association = ae.associate("127.0.0.1", node.port, ae_title="ICANSEE")
    taken = {(str(one.abstract_syntax), str(one.transfer_syntax[0])) for one in association.accepted_contexts}
    if association.is_established:
        association.release()
    return taken


@pytest.mark.parametrize("name", list(conformance.PAGES))
def test_the_page_is_up_to_date(name: str) -> None:
    wanted = conformance.PAGES[name]()
    assert (conformance.DOCS / name).read_text(encoding="utf-8") == wanted, "run `make docs`"


def test_the_check_tells_an_old_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(conformance, "DOCS", tmp_path)
    assert conformance.main(["--check"]) == 1
    assert (conformance.main([]), conformance.main(["--check"])) == (0, 0)
    (tmp_path / "ihe.md").write_text("old")
    assert conformance.main(["--check"]) == 1


def test_what_is_stated_is_accepted(node: Node) -> None:
    stated = [*product(STORAGE, STORAGE_SYNTAXES), *product(SERVICES, SERVICE_SYNTAXES)]
    assert len(STORAGE) > 40
    assert len(stated) > 600
    for first in range(0, len(stated), MOST_CONTEXTS):
        some = stated[first : first + MOST_CONTEXTS]
        assert accepted(node, some) == set(some)


@pytest.mark.parametrize(("sop_class", "syntax"), NOT_STATED)
def test_what_is_not_stated_is_refused(node: Node, sop_class: str, syntax: str) -> None:
    listed = sop_class in STORAGE and syntax in STORAGE_SYNTAXES
    assert not listed
    assert accepted(node, [(sop_class, syntax), (SERVICES[0], IMPLICIT)]) == {(SERVICES[0], IMPLICIT)}


def test_what_is_produced_is_as_stated() -> None:
    stated = {row[0]: row for row in rows_under("## Objects that it produces")}
    document, evidence = a_decision()
    made: dict[str, Any] = {
        one.kind: dcmread(BytesIO(one.render(document, evidence)))
        for one in OUTPUTS
        if one.kind in CLASS_OF and one.applies(document, evidence)
    }
    assert {"sr", "seg", "sc", "kos", "reg"} <= set(made)
    for kind, found in made.items():
        _, name, uid, modality, number, description = stated[kind]
        assert (uid, int(number), description) == (found.SOPClassUID, found.SeriesNumber, found.SeriesDescription)
        assert UID(uid).name == name
        assert modality in ("", found.Modality)
        assert found.SpecificCharacterSet == "ISO_IR 192"
