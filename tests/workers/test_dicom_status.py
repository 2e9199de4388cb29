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
        pytest.param("INVALID_VALUE", "Failure", "Invalid Attribute Value", id="invalid value"),
        pytest.param("PROCESSING_FAILURE", "Failure", "Processing Failure", id="processing failure"),
        pytest.param("DUPLICATE_INSTANCE", "Failure", "Duplication SOP Instance", id="duplicate"),
        pytest.param("NO_SUCH_INSTANCE", "Failure", "No Such SOP Instance", id="no such instance"),
        pytest.param("INVALID_ARGUMENT", "Failure", "Invalid Argument Value", id="invalid argument"),
        pytest.param("NO_SUCH_CLASS", "Failure", "No Such SOP Class", id="no such class"),
        pytest.param("CLASS_CONFLICT", "Failure", "Class-Instance Conflict", id="class conflict"),
        pytest.param("MISSING_ATTRIBUTE", "Failure", "Missing Attribute", id="missing attribute"),
        pytest.param("CLASS_NOT_SUPPORTED", "Failure", "SOP Class Not Supported", id="class not supported"),
        pytest.param("NO_SUCH_ACTION", "Failure", "No Such Action", id="no such action"),
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
