"""500 hostile texts in every place that DICOM can fill: pages show them, and nothing else changes."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from listener.web import pages
from tests.fakes import NOON
from tests.listener.web.signing import Secured
from tests.listener.web.stored import StoredStudy, a_document, store
from tests.listener.web.test_pages import Elements, check_nothing_runs, with_text
from workers.access_ports import Role

PARTS = (
    "<script>",
    "</script>",
    "<img src=x onerror=alert(1)>",
    '"',
    "'",
    "`",
    "<!--",
    "-->",
    "]]>",
    "<svg/onload=alert(1)>",
    "javascript:alert(1)",
    "{{ 7 * 7 }}",
    "{% raw %}",
    "&lt;",
    "&#60;",
    "<a href=//evil.example>",
    "</td></tr></table>",
    "</title>",
    "<style>*{display:none}</style>",
    "\\",
    "%3Cscript%3E",
    "\u202e",
    "\x00",
    "\x1b[31m",
    "\uff1cscript\uff1e",
    "<base href=//evil.example>",
    "<iframe srcdoc=x>",
    "${alert(1)}",
    "expression(alert(1))",
    " onfocus=alert(1) autofocus ",
)
STUDIES = 250  # of two texts each


def hostile(number: int) -> str:
    """Some parts in an order that the number alone decides."""
    drawn = random.Random(number)
    return "".join(drawn.choices(PARTS, k=drawn.randrange(1, 4))) + f"#{number}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Secured:
    made = Secured(tmp_path_factory.mktemp("hostile"))
    for number in range(STUDIES):
        name, other = hostile(2 * number), hostile(2 * number + 1)
        row = {"patient_name": name, "accession_number": other}
        refused = {"category": "not_assessable", "priority": "unchanged", "reasons": (other,)}
        study = StoredStudy(f"1.{number}", other, images=1, row=row, **refused)  # type: ignore[arg-type]
        store(made.index, study, now=NOON)
    return made


def rows_of(page: str) -> list[Counter[str]]:
    """The elements of each row."""
    found: list[Counter[str]] = []
    for tag, attributes in Elements(page).found:
        if tag == "tr" and "data-uid" in attributes:
            found.append(Counter())
        elif found:
            found[-1][tag] += 1
    return found


def test_the_list(site: Secured) -> None:
    reader, seen, path = site.signed_in(Role.READER), 0, "/?sort=patient"
    while path:
        page = reader.page(path).text
        check_nothing_runs(page)
        rows = rows_of(page)
        assert len({tuple(sorted(row.items())) for row in rows[:-1]}) == 1, "a text has added an element to its row"
        seen += len(rows)
        following = [a["href"] for tag, a in Elements(page).found if tag == "a" and a.get("id") == "following"]
        path = str(following[0]) if following else ""
    assert seen == STUDIES


def test_a_search_that_is_hostile_itself(site: Secured) -> None:
    reader = site.signed_in(Role.READER)
    csrf = reader.get("/api/session").json()["csrf"]
    for number in range(0, 500, 25):
        answer = reader.post("/search", data={"find": hostile(number), "csrf": csrf})
        check_nothing_runs(reader.page(answer.headers["location"]).text)


def test_the_pages_of_a_study_and_of_its_patient(site: Secured) -> None:
    reader = site.signed_in(Role.READER)
    plain = [tag for tag, _ in Elements(pages.study(a_document(StoredStudy("1.1")), has_picture=True)).found]
    for number in range(0, 500, 5):
        document = with_text(a_document(StoredStudy("1.1")), hostile(number))
        for series in document["evolution"]["trend"]:
            for point in series["points"]:
                point["study_date"] = None
        page = pages.study(document, has_picture=True)
        check_nothing_runs(page)
        assert len(Elements(page).found) <= len(plain)
        check_nothing_runs(reader.page(f"/studies/1.{number // 2}/patient").text)
