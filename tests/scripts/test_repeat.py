"""What a run of the tests says in, a line of the table out; the benchmark ends with the run that it stood beside."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from scripts.repeat import main

GOOD = "====== 3 passed, 1 warning in 2.50s ======"
BAD = "FAILED tests/test_a.py::test_b[no: c] - assert 1 == 2\nERROR tests/test_c.py\n=== 1 failed, 1 error in 0.1s ==="


def says(text: str, code: int) -> str:
    return f"{shlex.quote(sys.executable)} -c {shlex.quote(f'print({text!r}); raise SystemExit({code})')}"


@pytest.mark.parametrize(
    ("tests", "code", "shown"),
    [
        pytest.param(says(GOOD, 0), 0, "| 3 passed, 1 warning | none |", id="noop: nothing failed"),
        pytest.param(
            says(BAD, 2), 1, "| 1 failed, 1 error | tests/test_a.py::test_b[no: c], tests/test_c.py |", id="failures"
        ),
        pytest.param(says("killed", 137), 1, "| - | no result (exit code 137) |", id="not measured: it was ended"),
        pytest.param(says("nothing to do", 0), 1, "| - | no result (exit code 0) |", id="not measured: no test ran"),
        pytest.param(says(GOOD, 2), 1, "| no result (exit code 2) |", id="something else failed"),
    ],
)
def test_a_run_and_its_line(
    tests: str, code: int, shown: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--runs", "2", "--beside", "0", "--tests", tests, "--logs", str(tmp_path)]) == code
    out = capsys.readouterr().out
    assert out.count(shown) == 2
    assert f"{2 * code} of 2 runs with a failure" in out
    assert (tmp_path / "run-2.log").is_file()


def test_the_last_runs_stand_beside_the_benchmark(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mark = tmp_path / "benchmark"
    bench = shlex.join(["bash", "-c", f"echo $$ >> {mark}; exec sleep 1234"])
    waits = shlex.join(["bash", "-c", f"until [ -s {mark} ]; do sleep 0.05; done; echo '{GOOD}'"])
    first = says(GOOD, 0)
    assert main(["--runs", "1", "--beside", "0", "--tests", first, "--bench", bench, "--logs", str(tmp_path)]) == 0
    assert not mark.exists()
    assert main(["--runs", "1", "--beside", "1", "--tests", waits, "--bench", bench, "--logs", str(tmp_path)]) == 0
    assert "| 1 | beside a benchmark |" in capsys.readouterr().out
    (process,) = mark.read_text().split()
    assert not Path(f"/proc/{process}").exists()
