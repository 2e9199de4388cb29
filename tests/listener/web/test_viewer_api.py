"""Requests for the viewer's data -> slices, volumes and typed refusals; files as the assessment writes them."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from tests.listener.web.test_app import UID, Node
from tests.workers.outputs.evidence.evidence_builders import an_outcome
from tests.workers.outputs.evidence.test_volumes import with_series
from workers.outputs.results import ResultFolder
from workers.outputs.viewer_files import file_name

BASE = f"/api/studies/{UID}/viewer"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results folder of one decision with volumes."""
    folder = tmp_path_factory.mktemp("results")
    outcome = with_series(an_outcome())
    ResultFolder(folder).write(UID, 1, replace(outcome, assessment=outcome.assessment))
    return folder


@pytest.fixture
def node(tmp_path: Path, results: Path) -> Node:
    made = Node(tmp_path)
    made.decided()
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / UID).symlink_to(results / UID)
    return made


def test_a_slice_is_the_one_of_the_volume(node: Node) -> None:
    index = node.client.get(BASE).json()
    assert (index["version"], index["frame"]["axes"]) == ("r1-full", ["head", "back", "left"])
    for row in index["volumes"]:
        path = f"{BASE}/{index['version']}/{row['name']}"
        whole = np.frombuffer(node.client.get(path).content, row["type"]).reshape(row["shape"])
        number = row["shape"][0] // 2
        assert node.client.get(f"{path}/axial/{number}").content == whole[number].tobytes()
    assert "slices" not in index["volumes"][0]


def test_a_volume_comes_packed_for_who_takes_that_and_is_not_sent_twice(node: Node) -> None:
    path = f"{BASE}/r1-full/followup"
    packed = node.client.get(path, headers={"Accept-Encoding": "gzip"})
    plain = node.client.get(path, headers={"Accept-Encoding": "identity"})
    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert packed.content == plain.content  # the client unpacks
    stored = (node.tmp_path / "results" / UID / "r1-full" / file_name("followup")).read_bytes()
    assert zlib.decompress(stored, 31) == plain.content
    again = node.client.get(path, headers={"If-None-Match": packed.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        pytest.param(BASE, 200, id="noop: the index"),
        pytest.param("/api/studies/9.9/viewer", 404, id="unknown study"),
        pytest.param(f"{BASE}/r1-full/nothing", 404, id="unknown volume"),
        pytest.param(f"{BASE}/r1-full/followup/axial/4000", 404, id="no such slice"),
        pytest.param(f"{BASE}/r1-full/followup/axial/4096", 422, id="no number of a slice"),
        pytest.param(f"{BASE}/r1-full/followup/axial/-1", 422, id="below the first slice"),
        pytest.param(f"{BASE}/r7-full/followup", 404, id="a decision that never was"),
        pytest.param(f"{BASE}/r1-first_look/followup", 410, id="a decision whose files are gone"),
        pytest.param(f"{BASE}/r1-..%2f..%2fr1-full/followup", 404, id="dots in the version"),
        pytest.param(f"{BASE}/%2e%2e/followup", 422, id="only dots"),
        pytest.param(f"{BASE}/r1-full/..%2fdocument", 404, id="dots in the volume"),
        pytest.param(f"{BASE}/r1-full/document.json", 422, id="another file"),
        pytest.param(f"{BASE}/r1-full/followup%00", 422, id="NUL"),
    ],
)
def test_status(node: Node, path: str, status: int) -> None:
    assert node.client.get(path).status_code == status


def remove(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()


def damage(folder: Path) -> None:
    (folder / "viewer.json").write_text("{}")


def without_volumes(folder: Path) -> None:
    (folder / "viewer.json").unlink()


@pytest.mark.parametrize(
    ("change", "after", "status"),
    [
        pytest.param(remove, timedelta(), 503, id="not written yet"),
        pytest.param(remove, timedelta(hours=1), 410, id="removed"),
        pytest.param(damage, timedelta(hours=1), 503, id="damaged"),
        pytest.param(without_volumes, timedelta(), 503, id="pictures first, volumes not yet"),
        pytest.param(without_volumes, timedelta(hours=1), 404, id="nothing to show"),
    ],
)
def test_what_is_missing_is_told_apart(
    tmp_path: Path, change: Callable[[Path], None], after: timedelta, status: int
) -> None:
    node = Node(tmp_path)
    node.decided()
    folder = tmp_path / "results" / UID / "r1-full"
    folder.mkdir(parents=True)
    (folder / "document.json").write_text("{}")
    (folder / "viewer.json").write_text('{"volumes": []}')
    change(folder)
    node.clock.advance(after.total_seconds())
    answer = node.client.get(BASE)
    assert answer.status_code == status, answer.text
    assert ("retry-after" in answer.headers) is (status == 503)
    page = node.client.get(f"/studies/{UID}")
    assert page.status_code == 200
    assert 'id="viewer"' not in page.text
    assert ('id="not-written"' in page.text) is (status == 503 and not after), "the page asks again"


def test_the_page_carries_the_index_for_its_first_picture(node: Node) -> None:
    page = node.client.get(f"/studies/{UID}").text
    assert 'id="viewer-index"' in page
    for name in ("baseline", "followup", "difference", "dwi", "adc", "t1", "t1_gd", "baseline_dwi", "baseline_adc"):
        assert f'data-volume="{name}"' in page


def test_the_api_describes_its_refusals(node: Node) -> None:
    paths = node.client.get("/api/openapi.json").json()["paths"]
    mine = {path: one for path, one in paths.items() if "/viewer" in path}
    assert len(mine) == 3
    for path, one in mine.items():
        assert {"200", "404", "410", "422", "503"} <= set(one["get"]["responses"]), path
