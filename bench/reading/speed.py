"""How long a 3-D series takes from files to a volume, beside the same pixels by pydicom alone.

    python -m bench.reading.speed [--repeats 5]

Processor time of this process, both in the same run, in turns; the ratio is what tells on any machine. pydicom alone
reads each file and takes its pixel array: it judges nothing and makes no volume.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from pydicom import dcmread

from simulation.patient import simulate
from triage.model import SequenceKind
from workers.reading.study import read_study


def _spent_s(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as name:
        patient = simulate(Path(name), pattern="none", seed=1, sequences=("flair",), protocol="3d")
        paths = sorted(patient.followup_dir.rglob("*.dcm"))
        shape = read_study(paths).volumes[SequenceKind.FLAIR].voxels.shape
        pairs = [
            (
                _spent_s(lambda: read_study(paths)),
                _spent_s(lambda: [dcmread(path).pixel_array for path in paths]),
            )
            for _ in range(repeats)
        ]
    ours, theirs = (statistics.median(times) for times in zip(*pairs, strict=True))
    ratio = statistics.median(our / their for our, their in pairs)
    print(f"{len(paths)} files, volume {shape}: {ours:.2f} s, pydicom alone {theirs:.2f} s, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
