"""What a listed peer may do, with dcmtk and a client that sends bytes; and a disk that fills up and is freed."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from listener.associations import places as limits
from listener.web.metrics import door_numbers
from tests.listener.harness import Node, dcmtk, eventually, running, settings_for
from tests.listener.rawscu import Raw
from tests.patience import PATIENCE_S
from tests.workers.reading.data_sets import STUDY, a_data_set, as_file, encoded


def limited(tmp_path: Path, **limits: Any) -> Any:
    return running(tmp_path / "state", peers=[{"ae_title": "RAW", **limits}, {"ae_title": "STORESCU"}])


def size(node: Node, number: int, pixels: int) -> int:
    with Raw.connect(node.port) as raw:
        data_set = a_data_set(number, pixels=bytes(pixels))
        return raw.associate().store(f"{STUDY}.1.{number}", encoded(data_set))


@pytest.mark.parametrize(
    ("options", "welcome"),
    [
        pytest.param(["-usr", "mr", "-pwd", "secret"], True, id="noop: user and passcode"),
        pytest.param(["-usr", "mr", "-pwd", "wrong"], False, id="wrong passcode"),
        pytest.param(["-usr", "mr"], False, id="no passcode"),
        pytest.param([], False, id="no user"),
    ],
)
def test_user_identity(tmp_path: Path, options: list[str], welcome: bool) -> None:
    path = tmp_path / "a.dcm"
    path.write_bytes(as_file(a_data_set(1)))
    peers = [{"ae_title": "STORESCU", "user": "mr", "passcode": "secret"}]
    with running(tmp_path / "state", peers=peers) as node:
        done = dcmtk("storescu", *options, "-aec", "ICANSEE", "127.0.0.1", node.port, path)
        assert (done.returncode == 0) is welcome, done.stderr
        assert len(node.data_sets()) == int(welcome)
        refused = "associations_refused:user_not_known"
        eventually(lambda: door_numbers(tmp_path / "state").counts.get(refused, 0) == int(not welcome))


def test_associations_of_a_peer(tmp_path: Path) -> None:
    with limited(tmp_path, max_associations=1) as node:
        with Raw.connect(node.port) as first, Raw.connect(node.port) as second, Raw.connect(node.port) as other:
            first.associate()
            with pytest.raises(ConnectionError):
                second.associate()
            other.associate(calling="STORESCU")  # has no limit of its own
        eventually(lambda: _welcome(node), what="the place was not given back")


def test_a_place_that_cannot_be_looked_for_is_a_refusal_for_now(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_descriptor(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    with limited(tmp_path, max_associations=1) as node:
        with monkeypatch.context() as patch, Raw.connect(node.port) as raw:
            patch.setattr(limits, "take_place", no_descriptor)
            with pytest.raises(ConnectionError, match="not accepted"):
                raw.associate()
        eventually(lambda: door_numbers(tmp_path / "state").counts.get("associations_refused:fault") == 1)
        assert _welcome(node)


def _welcome(node: Node) -> bool:
    try:
        with Raw.connect(node.port) as raw:
            raw.associate().release()
    except ConnectionError:
        return False
    return True


def test_size_of_a_peer(tmp_path: Path) -> None:
    with limited(tmp_path, max_object_bytes=50_000) as node:
        assert [size(node, 1, 10_000), size(node, 2, 60_000), size(node, 3, 10_000)] == [0, 0xA700, 0]


def test_idle_time_of_a_peer(tmp_path: Path) -> None:
    with limited(tmp_path, idle_timeout_s=0.3) as node, Raw.connect(node.port) as raw:
        assert raw.associate().hung_up()


def test_pace_of_a_peer(tmp_path: Path) -> None:
    with limited(tmp_path, max_instances_per_s=10) as node, Raw.connect(node.port) as raw:
        raw.associate()
        begun = time.monotonic()
        for number in range(14):
            assert raw.store(f"{STUDY}.1.{number}", encoded(a_data_set(number))) == 0
        assert time.monotonic() - begun >= 0.35  # ten at once, four more at ten a second


_FULL_DISK = """
    import json, sys, threading, time
    from pathlib import Path
    from listener.door import run as scp
    from tests.listener.rawscu import Raw
    from tests.workers.reading.data_sets import STUDY, a_data_set, encoded
    from workers.config import parse
    from workers.files.store import FileStore
    from workers.index.sql import open_index
    settings = parse(json.loads(sys.argv[1]))
    disk = settings.store.state_dir
    stop, ports = threading.Event(), []
    node = threading.Thread(target=scp.run, args=(settings,), kwargs={"stop": stop, "ready": ports.append})
    node.start()
    while not ports:
        time.sleep(0.02)
    statuses, safe = [], {}
    def send(raw, number):
        data = encoded(a_data_set(number, pixels=bytes([number % 251]) * 700_000))
        statuses.append(raw.store(f"{STUDY}.1.{number}", data))
        if statuses[-1] == 0:
            safe[f"{STUDY}.1.{number}"] = data
    ballast = disk / "ballast"
    ballast.write_bytes(bytes(14 << 20))
    with Raw.connect(ports[0]) as raw:
        raw.associate()
        for number in range(40):
            send(raw, number)
        full = list(statuses)
        ballast.unlink()
        for number in range(40, 44):
            send(raw, number)
    stored = {path.stem: path.read_bytes() for path in FileStore(disk).all_files()}
    for _ in range(600):
        index = open_index(settings.index_url)
        indexed = sum(study.instance_count for study in index.studies())
        index.close()
        if indexed == len(safe):
            break
        time.sleep(0.05)
    stop.set()
    node.join()
    print(json.dumps({
        "full": sorted(set(full)), "taken": full.count(0), "after": statuses[40:], "indexed": indexed,
        "safe": len(safe), "lost": [uid for uid, data in safe.items() if not stored.get(uid, b"").endswith(data)],
        "extra": len(stored.keys() - safe.keys()), "left": len(list(disk.rglob(".*.part"))),
    }))
"""


@pytest.mark.parametrize("floor", [pytest.param(4 << 20, id="refused early"), pytest.param(0, id="full to the brim")])
def test_a_disk_that_fills_up_and_is_freed(tmp_path: Path, floor: int) -> None:
    """In a mount namespace with a file system of 32 MB of its own.

    The space is looked at every 50 ms: a fast sender gets below the floor, down to an empty disk. The 14 MB that are
    freed therefore hold the floor (4 MB), three more objects (2.1 MB) and a full write-ahead log of the index (4 MB).
    """
    unshare = shutil.which("unshare")
    assert unshare is not None
    disk = tmp_path / "disk"
    disk.mkdir()
    settings = json.dumps(settings_for(disk, sections={"store": {"min_free_bytes": floor}}))
    mount = f'mount -t tmpfs -o size=32m none {disk} && exec "$@"'
    program = [sys.executable, "-c", textwrap.dedent(_FULL_DISK), settings]
    run = subprocess.run(
        [unshare, "--map-root-user", "--mount", "sh", "-c", mount, "sh", *program],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    found = json.loads(next(line for line in run.stdout.splitlines() if line.startswith("{")))
    assert found["full"] == [0, 0xA700]
    assert 10 < found["taken"] < 30
    assert found["after"] == [0] * 4
    assert (found["lost"], found["extra"], found["left"]) == ([], 0, 0)
    assert found["indexed"] == found["safe"]
