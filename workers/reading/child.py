"""Questions in, answers out, by a process that may be killed: what a file does to its reader ends with that process.

One question at a time, as JSON lines over pipes. The process is started before the first question, and replaced when it
exceeds its time, when it exceeds its memory and ends, or when it dies otherwise.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from triage.errors import IcanseeError

START_S = 30.0  # a loaded machine imports the libraries slowly
MOST_WAITING = 4.0  # times the deadline: so long may the process wait for a processor beside it
_READY = b"{}\n"
_LONGEST_ANSWER = 1 << 20


class LimitExceeded(IcanseeError):  # noqa: N818 - read as "a limit is exceeded"
    """The process gave no answer within its limits, and was replaced."""


class ReadingProcess:
    """A process that answers. Not thread-safe."""

    def __init__(self, module: str, *, memory_bytes: int, deadline_s: float) -> None:
        """
        Args:
            module: run as ``python -m module MEMORY_BYTES DEADLINE_S``; it calls ``answer_questions``.
            memory_bytes: its address space.
            deadline_s: for one answer.
        """
        self._command = [sys.executable, "-P", "-m", module, str(memory_bytes), str(deadline_s)]
        self._deadline_s = deadline_s
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = False

    @property
    def pid(self) -> int | None:
        return None if self._process is None else self._process.pid

    def start(self) -> None:
        """Start the process unless it runs. Does not wait for it."""
        if self._process is not None and self._process.poll() is None:
            return
        self.close()
        self._process = subprocess.Popen(  # noqa: S603 - this very program
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # a library may quote a header
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
        )
        self._ready = False

    def ask(self, question: Mapping[str, Any]) -> dict[str, Any]:
        """Raises:
        LimitExceeded: no answer in time, or the process died over the question. The next one is starting.
        """
        self.start()
        if not self._ready:
            if self._line(START_S)[0] != _READY:
                self._replace()
                raise LimitExceeded("the reading process does not start")
            self._ready = True
        process = self._process
        if process is None or process.stdin is None:
            raise LimitExceeded("the reading process does not start")
        try:
            process.stdin.write(json.dumps(question).encode() + b"\n")
            process.stdin.flush()
        except OSError:
            self._replace()
            raise LimitExceeded("the reading process has ended") from None
        waited_s = waited_for_processor_s(process.pid)
        line, ended = self._line(self._deadline_s)
        longer_s = min(waited_for_processor_s(process.pid) - waited_s, MOST_WAITING * self._deadline_s)
        if not line and not ended and longer_s > 0:  # the machine is busy, which says nothing about the file
            line, ended = self._line(longer_s)
        if not line.endswith(b"\n"):
            self._replace()
            raise LimitExceeded("the reading process died" if ended else f"no answer within {self._deadline_s:g} s")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def close(self) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
        process.wait()

    def _replace(self) -> None:
        self.close()
        with contextlib.suppress(OSError):  # the next question tries again
            self.start()

    def _line(self, patience_s: float) -> tuple[bytes, bool]:
        """One line, or what came of it within the time. Whether the process ended: its pipe closes before the system
        counts it as ended."""
        if self._process is None or self._process.stdout is None:
            return b"", True
        file = self._process.stdout.fileno()
        end, found = time.monotonic() + patience_s, b""
        while not found.endswith(b"\n") and len(found) < _LONGEST_ANSWER:
            readable, _, _ = select.select([file], [], [], max(0.0, end - time.monotonic()))
            if not readable:
                break
            more = os.read(file, 1 << 16)
            if not more:
                return found, True
            found += more
        return found, False


def waited_for_processor_s(pid: int) -> float:
    """For how long the process could have run and did not, since its start; 0 where the system does not tell."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text(encoding="ascii").split()[1]) / 1e9
    except (OSError, ValueError, IndexError):
        return 0.0


def answer_questions(answer: Callable[[Mapping[str, Any]], Mapping[str, Any]]) -> None:
    """The other side: answer questions until there are no more. Ends itself when an answer takes far too long, so that
    it does not outlive its parent."""
    memory_bytes, deadline_s = int(sys.argv[1]), float(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(OSError):  # when the machine has no memory left, this process is the one to end
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what a library prints is no answer
    answers.write(_READY)
    for line in sys.stdin.buffer:
        signal.setitimer(signal.ITIMER_REAL, (2 + MOST_WAITING) * deadline_s)
        answers.write(json.dumps(answer(json.loads(line))).encode() + b"\n")
        signal.setitimer(signal.ITIMER_REAL, 0)
