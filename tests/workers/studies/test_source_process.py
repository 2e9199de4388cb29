"""The headers of a decision are read again by another process, which may be killed over them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.builders_dicom import a_series
from tests.fakes import NOON, an_instance
from workers.config import parse
from workers.delivery_ports import Decided
from workers.files.store import open_files
from workers.index.schema import assessments
from workers.index.sql import SqlIndex, open_index
from workers.outputs.sources import FILE_NAME, sources_from_json, with_headers
from workers.settings import NodeSettings
from workers.studies.source_process import SourceProcess

STUDY = "1.2.3"
FULL = Decided(STUDY, 2, "full")


def a_node(folder: Path, *, decided: bool = True) -> tuple[NodeSettings, SqlIndex]:
    """One image and two decisions."""
    settings = parse({"store": {"state_dir": str(folder)}}).node()
    index, files = open_index(settings.index_url), open_files(settings)
    (path,) = a_series(files.root / "made", only=[0])
    name = path.relative_to(files.root).as_posix()
    index.record_instances([an_instance(STUDY, 1, path=name, size_bytes=path.stat().st_size)])
    document: dict[str, Any] = {"series": [], "baseline": None, "study": {"study_instance_uid": STUDY}}
    document["decision"] = {"reasons": [], "priority": "P1", "category": "possible"}
    for revision in (1, 2) if decided else ():
        values = {"study_instance_uid": STUDY, "revision": revision, "stage": "full", "stage_rank": 1}
        more = {"created_at": NOON, "superseded": revision == 1, "document": document}
        with index._engine.begin() as connection:
            connection.execute(sa.insert(assessments).values(**values, **more))
    return settings, index


@pytest.mark.parametrize(
    ("deadline_s", "headers"),
    [pytest.param(40.0, True, id="no-op: in time"), pytest.param(1e-6, False, id="it takes too long")],
)
def test_what_comes_of_the_headers(tmp_path: Path, deadline_s: float, headers: bool) -> None:
    settings, index = a_node(tmp_path)
    content = SourceProcess(settings, index, deadline_s=deadline_s).repaired(FULL)
    assert content is not None
    assert with_headers(content) is headers
    found = sources_from_json(content)
    assert (found.revision, found.previous) == (2, (1, "full")), "which decision it is of is always said"
    assert bool(list(tmp_path.rglob(FILE_NAME))) is headers, "without headers it is tried again"


def test_not_measured_the_decision_is_away(tmp_path: Path) -> None:
    settings, index = a_node(tmp_path, decided=False)
    content = SourceProcess(settings, index).repaired(FULL)
    assert content is not None
    assert not with_headers(content)
