"""A receiving process, which hides the measurement core's libraries, still brings lost decisions back."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from listener.door.restoring import restore_apart
from tests.workers.studies.test_restore import IMAGES, PATIENT, STUDY, an_index, document, put
from triage.errors import Transient
from workers.index.rebuilding import rebuilding_mark
from workers.settings import NodeSettings, StoreSettings

RECEIVING = """
import sys
from pathlib import Path
from listener.door.small_process import start_small
start_small()
from listener.door.lazy_index import LazyIndex
from workers.index.rebuilding import rebuilding_since
from workers.settings import NodeSettings, StoreSettings
folder = Path(sys.argv[1])
LazyIndex(NodeSettings(store=StoreSettings(state_dir=folder))).restore(folder, rebuilding_since(folder))
assert not {"scipy", "triage.model"} & set(sys.modules), "the core was loaded"
"""


def lost(folder: Path) -> None:
    (folder / "store" / "ab").mkdir(parents=True)
    (folder / "store" / "ab" / "1.dcm").touch()
    index = an_index(folder)
    index.record_instances(IMAGES)
    index.close()
    assert rebuilding_mark(folder).exists()


def received_again(folder: Path) -> None:
    subprocess.run([sys.executable, "-c", RECEIVING, folder], check=True)


def test_lost_decisions_come_back_with_their_lines(tmp_path: Path) -> None:
    lost(tmp_path)
    put(tmp_path, 1, document())
    received_again(tmp_path)
    index = an_index(tmp_path)
    row = index.study(STUDY)
    assert row is not None
    assert (row.decided_revision, row.priority, row.patient_id) == (1, "P2", PATIENT.patient_id)
    assert not rebuilding_mark(tmp_path).exists()


def test_noop_nothing_was_decided(tmp_path: Path) -> None:
    lost(tmp_path)
    received_again(tmp_path)
    row = an_index(tmp_path).study(STUDY)
    assert row is not None
    assert row.decided_revision is None
    assert not rebuilding_mark(tmp_path).exists()


def test_a_program_that_fails_is_told(tmp_path: Path) -> None:
    """The index is a folder: it cannot be opened."""
    (tmp_path / "index.db").mkdir()
    settings = NodeSettings(store=StoreSettings(state_dir=tmp_path))
    with pytest.raises(Transient, match="ended with"):
        restore_apart(settings, tmp_path, None)
