"""The status codes against pynetdicom's own tables, and their one home."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from pynetdicom.status import GENERAL_STATUS, QR_FIND_SERVICE_CLASS_STATUS, STORAGE_SERVICE_CLASS_STATUS

from workers import dicom_status

ROOT = Path(__file__).parents[2]
HOME = ROOT / "workers" / "dicom_status.py"


@pytest.mark.parametrize(
    ("name", "category", "said"),
    [
        pytest.param("SUCCESS", "Success", "", id="success"),
        pytest.param("NO_SUCH_ATTRIBUTE", "Failure", "No Such Attribute", id="no such attribute"),
        pytest.param("INVALID_VALUE", "Failure", "Invalid Attribute Value", id="invalid value"),
        pytest.param("PROCESSING_FAILURE", "Failure", "Processing Failure", id="processing failure"),
        pytest.param("DUPLICATE_INSTANCE", "Failure", "Duplication SOP Instance", id="duplicate"),
        pytest.param("NO_SUCH_INSTANCE", "Failure", "No Such SOP Instance", id="no such instance"),
        pytest.param("INVALID_ARGUMENT", "Failure", "Invalid Argument Value", id="invalid argument"),
        pytest.param("INVALID_INSTANCE", "Failure", "Invalid Object Instance", id="invalid instance"),
        pytest.param("NO_SUCH_CLASS", "Failure", "No Such SOP Class", id="no such class"),
        pytest.param("CLASS_CONFLICT", "Failure", "Class-Instance Conflict", id="class conflict"),
        pytest.param("MISSING_ATTRIBUTE", "Failure", "Missing Attribute", id="missing attribute"),
        pytest.param("CLASS_NOT_SUPPORTED", "Failure", "SOP Class Not Supported", id="class not supported"),
        pytest.param("NO_SUCH_ACTION", "Failure", "No Such Action", id="no such action"),
        pytest.param("NOT_AUTHORISED", "Failure", "Not Authorised", id="not authorised"),
        pytest.param("DUPLICATE_INVOCATION", "Failure", "Duplicate Invocation", id="duplicate invocation"),
        pytest.param("UNRECOGNISED_OPERATION", "Failure", "Unrecognised Operation", id="unrecognised operation"),
        pytest.param("RESOURCE_LIMITATION", "Failure", "Resource Limitation", id="resource limitation"),
        pytest.param("OUT_OF_RESOURCES", "Failure", "Out of Resources", id="out of resources"),
        pytest.param("DOES_NOT_MATCH", "Failure", "Data Set Does Not Match SOP Class", id="does not match"),
        pytest.param("CLASS_DIFFERS", "Warning", "Data Set Does Not Match SOP Class", id="class differs"),
        pytest.param("CANNOT_UNDERSTAND", "Failure", "Cannot Understand", id="cannot understand"),
    ],
)
def test_a_code_means_what_the_library_says(name: str, category: str, said: str) -> None:
    known = {**STORAGE_SERVICE_CLASS_STATUS, **GENERAL_STATUS}
    code = getattr(dicom_status, name)
    assert known[code][0] == category
    assert known[code][1].lower().replace("refused: ", "").startswith(said.lower())
    assert dicom_status.is_warning(code) == (category == "Warning")


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param(0x0000, False, id="no-op: stored"),
        pytest.param(0x0124, False, id="not authorised: no word about the object"),
        pytest.param(0x0111, False, id="it is there already"),
        pytest.param(0x0110, False, id="a fault of the receiver"),
        pytest.param(0x0213, False, id="a limit of the receiver"),
        pytest.param(0xA700, False, id="its disk is full"),
        pytest.param(0xA8FF, False, id="below the first range"),
        pytest.param(0xA900, True, id="first of the first range"),
        pytest.param(0xA9FF, True, id="last of the first range"),
        pytest.param(0xAA00, False, id="above the first range"),
        pytest.param(0xB007, False, id="a warning"),
        pytest.param(0xC000, True, id="first of the second range"),
        pytest.param(0xCFFF, True, id="last of the second range"),
        pytest.param(0xD000, False, id="above the second range"),
    ],
)
def test_what_is_refused_for_good(status: int, expected: bool) -> None:
    assert dicom_status.is_refusal_for_good(status) is expected


def test_pending_answers_of_a_query() -> None:
    pending = {code for code, (category, *_) in QR_FIND_SERVICE_CLASS_STATUS.items() if category == "Pending"}
    assert set(dicom_status.PENDING) == pending


def test_no_other_file_holds_their_numbers() -> None:
    # small ones are also element numbers and event types; their names are looked for instead
    codes = {code for code in vars(dicom_status).values() if isinstance(code, int) and code >= 0xA000}
    assert len(codes) >= 4
    names = {name for name in vars(dicom_status) if name.isupper() and name != "SUCCESS"}
    for path in sorted([*ROOT.glob("listener/**/*.py"), *ROOT.glob("workers/**/*.py")]):
        if path == HOME:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        numbers = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and type(node.value) is int}
        assigned = {
            node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
        }
        assert not numbers & (codes | set(dicom_status.PENDING)), path
        assert not assigned & names, path
