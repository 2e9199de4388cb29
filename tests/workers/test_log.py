"""What the log says of an error: enough to act on, and no UID."""

from __future__ import annotations

import errno
import subprocess
import sys

import pytest

from triage.errors import Misconfigured
from workers.log import brief, describe

UID = "1.2.826.0.1"


@pytest.mark.parametrize(
    ("error", "says"),
    [
        pytest.param(Misconfigured("listener.port: 99999"), "Misconfigured: listener.port: 99999", id="our own"),
        pytest.param(
            FileNotFoundError(errno.ENOENT, "No such file", f"/store/{UID}.dcm"),
            "FileNotFoundError: [Errno 2] No such file",
            id="a file",
        ),
        pytest.param(
            OSError(errno.EXDEV, "Invalid cross-device link", f"/{UID}", None, f"/new/{UID}"),
            "OSError: [Errno 18] Invalid cross-device link",
            id="two files",
        ),
        pytest.param(OSError(f"cannot load /store/{UID}.dcm"), "OSError", id="a text of a library"),
        pytest.param(ValueError(f"PatientName {UID}"), "ValueError", id="a data set"),
    ],
)
def test_an_error_in_the_log(error: Exception, says: str) -> None:
    assert brief(error) == says
    assert describe(error).splitlines()[0] == says
    wrapped = RuntimeError("x")
    wrapped.__cause__ = error
    assert UID not in describe(wrapped)


_WARNS = """
import sys
from pydicom import Dataset
from workers import log
from workers.settings import LogSettings
if sys.argv[1] == "configured":
    log.configure(LogSettings(), process="test")
Dataset().StudyInstanceUID = "Secret^Name"
"""


@pytest.mark.parametrize(
    ("configured", "quoted"),
    [
        pytest.param("not", True, id="noop: as the library does it"),
        pytest.param("configured", False, id="not in our logs"),
    ],
)
def test_values_that_the_library_does_not_like_are_not_quoted(configured: str, quoted: bool) -> None:
    done = subprocess.run([sys.executable, "-c", _WARNS, configured], capture_output=True, text=True, check=True)
    assert ("Secret" in done.stdout + done.stderr) == quoted


_DIES = """
import sys, threading
from workers import log
from workers.settings import LogSettings
if sys.argv[1] == "configured":
    log.configure(LogSettings(), process="test")
thread = threading.Thread(target=lambda: int("Secret^Name"), name="upkeep")
thread.start()
thread.join()
"""


@pytest.mark.parametrize(
    ("configured", "says", "quoted"),
    [
        pytest.param("not", "Exception in thread", True, id="noop: as Python does it"),
        pytest.param("configured", "thread.died", False, id="in our logs, without what it quotes"),
    ],
)
def test_a_thread_that_dies(configured: str, says: str, quoted: bool) -> None:
    done = subprocess.run([sys.executable, "-c", _DIES, configured], capture_output=True, text=True, check=True)
    assert says in done.stderr
    assert "upkeep" in done.stderr
    assert ("Secret" in done.stderr) is quoted
