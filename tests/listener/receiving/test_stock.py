"""The stock receive path: temporary files instead of memory, and nothing of them left behind."""

from __future__ import annotations

import re
from pathlib import Path

from listener.receiving.stock import _own_folder
from tests.listener.harness import eventually, process, running
from tests.listener.rawscu import Raw, command, data_pdus
from tests.workers.reading.data_sets import a_data_set, encoded

LARGE_BYTES = 128 << 20
ALLOWED_KB = 48 << 10  # beyond what the process used before: a third of the object


def peak_kb(pid: int) -> int:
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1])


def incoming(state_dir: Path) -> list[Path]:
    return [path for path in (state_dir / "run" / "incoming").rglob("*") if path.is_file()]


def test_memory_stays_bounded_with_a_large_object(tmp_path: Path) -> None:
    pixels = bytes(LARGE_BYTES)
    small, large = a_data_set(1), a_data_set(2, pixels=pixels)
    with process(tmp_path, receive_path="stock") as (child, node), Raw.connect(node.port, timeout_s=120) as sender:
        sender.associate()
        assert sender.store(small.SOPInstanceUID, encoded(small)) == 0x0000
        before = peak_kb(child.pid)
        assert sender.store(large.SOPInstanceUID, encoded(large), size=250_000) == 0x0000
        assert peak_kb(child.pid) - before < ALLOWED_KB
        assert node.data_sets()[large.SOPInstanceUID].endswith(pixels)
        eventually(lambda: not incoming(tmp_path), what="the temporary file stays")


def test_an_object_that_was_cut_off_leaves_no_temporary_file(tmp_path: Path) -> None:
    with running(tmp_path, receive_path="stock") as node:
        with Raw.connect(node.port) as sender:
            sender.associate()
            sender.send(*data_pdus(command(uid="1.2.3"), control=1), *data_pdus(bytes(100_000))[:-1])
            eventually(lambda: incoming(tmp_path), what="nothing arrived")
        eventually(lambda: not incoming(tmp_path), what="the temporary file stays")


def test_a_killed_process_leaves_its_files_to_the_next_start(tmp_path: Path) -> None:
    dead = tmp_path / "999999999"
    dead.mkdir()
    (dead / "tmpabc.dcm").write_bytes(b"half")
    living = tmp_path / "1"
    living.mkdir()
    own = _own_folder(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([living, own])
