"""Volume change of fluid, brain and thalami on real scans: without a change, with effaced sulci, with swollen thalami.

    python -m bench.accuracy.volumes [--quick]

ICANSEE_SHARED names the folder of the real scans (default: ../shared beside the project).
Everything in memory. Without a change: the two real pairs of bench.real_pairs in both directions, and real scans taken
again (another pose, grid, field and noise). The effaced sulci are simulation.effacement on every contrast, the swollen
thalami are bench.accuracy.changes. ``--quick``: one head of each kind.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np
import SimpleITK as sitk

from bench.accuracy import heads
from bench.accuracy.baselines import BASELINE_DAY, CONTEXT, SETTINGS, the_atlas
from bench.accuracy.changes import centre_of, random_rescan, swelling_of
from bench.accuracy.heads import HERE, T1, T2, F
from bench.accuracy.run import FOLLOWUP_DAY
from bench.real_pairs import missing_data
from simulation.deformation import Displacement, rng_for
from simulation.effacement import effaced, uneven_loss
from simulation.patient import SAME_SCANNER_DRIFT
from triage.alignment.images import NEAREST, affine_transform, resample, to_sitk
from triage.anatomy import THALAMI
from triage.assessment import Assessed, full
from triage.errors import NotAssessable
from triage.fluid.statistics import mode
from triage.measurements import lookup
from triage.model import Mask, SequenceKind, Volume
from triage.preparation import PreparedBaseline, prepare_baseline

PAIRS = (("open_ms01a", "open_ms01b"), ("open_ms03a", "open_ms03b"))  # two dates of one person
AGAIN, AGAIN_QUICK = ("open_ms01a", "open_ms03b", "patient07", "flair_3d"), ("open_ms01a",)
VENTRICLES = ("lateral_ventricle_left", "lateral_ventricle_right", "third_ventricle", "fourth_ventricle")
SULCAL_LOSS = 0.4
GROWTHS, GROWTHS_QUICK = (4.0, 8.0, 12.0), (8.0,)  # percent, of both thalami
VENTRICLE_MM = 6.0  # sulci nearer to a ventricle than this lose nothing
SHOWN = ("sulcal_csf", "ventricles", "cisterns", "brain", *THALAMI)
Scans = Mapping[SequenceKind, Volume]


@dataclass(frozen=True)
class Row:
    """One comparison.

    true: what was put in, percent, by region. figures: region -> (value, sd), None where not measured.
    """

    what: str
    true: Mapping[str, float]
    figures: Mapping[str, tuple[float | None, float | None]]
    problem: str = ""


# -- scans -----------------------------------------------------------------------------------------


def anatomical(head: str) -> dict[SequenceKind, Volume]:
    return {kind: volume for kind, volume in heads.native(head).items() if kind in (F, T1, T2)}


@lru_cache(maxsize=2)
def prepared(head: str) -> PreparedBaseline:
    return prepare_baseline(
        heads.study(anatomical(head), HERE.header(""), "1.2", BASELINE_DAY), the_atlas(), SETTINGS.preparation
    )


def taken_again(head: str, scans: Scans, seed: int, swelling: Displacement | None = None) -> dict[SequenceKind, Volume]:
    """The same head on the same scanner some days later."""
    drawn = int(rng_for(seed, f"volumes {head}").integers(1 << 30))
    how = random_rescan(drawn, centre_of(scans[F]), drift=SAME_SCANNER_DRIFT, gamma=(0.97, 1.03), snr=(30, 50))
    return heads.second_scan(scans, how, swelling=swelling)


def labels_on(volume: Volume, kind: SequenceKind, before: PreparedBaseline) -> np.ndarray:
    """Region names' labels on one series of the baseline, (k, j, i)."""
    way = affine_transform(before.session.to_anchor.get(kind, np.eye(4)))
    return np.asarray(
        sitk.GetArrayFromImage(resample(to_sitk(before.labels, sitk.sitkUInt8), to_sitk(volume), way, how=NEAREST))
    )


def mask_of(labels: np.ndarray, before: PreparedBaseline, *starts: str) -> Mask:
    return np.asarray(np.isin(labels, [n for n, name in before.label_names.items() if name.startswith(starts)]))


def with_effaced_sulci(head: str, seed: int) -> tuple[dict[SequenceKind, Volume], float]:
    """Every contrast with less fluid in the outer sulci, and the true change, percent (of T2 where there is one)."""
    before, out, true = prepared(head), {}, {}
    for kind, volume in anatomical(head).items():
        labels = labels_on(volume, kind, before)
        ventricles, cortex = mask_of(labels, before, *VENTRICLES), mask_of(labels, before, "cortex")
        steps = max(1, round(VENTRICLE_MM / max(volume.spacing_mm)))
        inner = (
            sitk.GetArrayFromImage(sitk.BinaryDilate(sitk.GetImageFromArray(ventricles.astype(np.uint8)), [steps] * 3))
            > 0
        )
        where = (cortex | mask_of(labels, before, "sulcal_csf", "cerebellum")) & ~inner
        levels = {
            "tissue": mode(volume.voxels[cortex]),
            "fluid": float(np.percentile(volume.voxels[ventricles], 90 if kind is T2 else 10)),
        }
        out[kind], true[kind] = effaced(volume, where, loss=uneven_loss(volume, SULCAL_LOSS, seed), **levels)
    return out, next(true[kind] for kind in (T2, T1, F) if kind in true)


def with_swollen_thalami(head: str, percent: float, seed: int) -> tuple[dict[SequenceKind, Volume], dict[str, float]]:
    """The head taken again with both thalami larger; and by how much each really grew, percent."""
    before, scans = prepared(head), anatomical(head)
    labels = labels_on(scans[F], F, before)
    masks = {region: mask_of(labels, before, region) for region in THALAMI}
    fluid = mask_of(labels, before, *VENTRICLES, "sulcal_csf")
    field, growth = swelling_of(to_sitk(scans[F]), masks, fluid, percent)
    return taken_again(head, scans, seed, field), growth


# -- comparisons -----------------------------------------------------------------------------------


def compared(what: str, head: str, followup: Scans, true: Mapping[str, float]) -> Row:
    images = heads.study(followup, HERE.header(""), "1.3", FOLLOWUP_DAY)
    try:
        outcome = full(images, prepared(head), CONTEXT, the_atlas(), SETTINGS)
    except NotAssessable as refusal:
        return Row(what, true, {}, str(refusal))
    registration = outcome.assessment.registration
    accepted = registration is not None and registration.accepted
    return Row(what, true, figures_of(outcome), "" if accepted else "registration refused")


def figures_of(outcome: Assessed) -> dict[str, tuple[float | None, float | None]]:
    out = {}
    for region in SHOWN:
        found = lookup(outcome.assessment.measurements, region, "volume_change_percent")
        out[region] = found.value, found.uncertainty
    return out


def jobs(quick: bool) -> Iterator[tuple[str, Callable[[], Row]]]:
    """(title, work) in an order that prepares each baseline once."""
    again = AGAIN_QUICK if quick else AGAIN
    for first, second in ((a, b) for one, two in PAIRS for a, b in ((one, two), (two, one))):
        yield f"pair {first} -> {second}", partial(_pair, first, second)
        for head in (h for h in again if h == first):
            yield from _of_head(head, quick)
    for head in again:
        if head not in {name for pair in PAIRS for name in pair}:
            yield from _of_head(head, quick)


def _of_head(head: str, quick: bool) -> Iterator[tuple[str, Callable[[], Row]]]:
    yield f"again {head}", partial(_again, head)
    yield f"effaced {head}", partial(_effaced, head)
    for percent in GROWTHS_QUICK if quick else GROWTHS:
        yield f"swollen {head} {percent:g} %", partial(_swollen, head, percent)


def _pair(first: str, second: str) -> Row:
    return compared(f"pair {first} -> {second}", first, anatomical(second), {})


def _again(head: str) -> Row:
    return compared(f"again {head}", head, taken_again(head, anatomical(head), 1), {})


def _effaced(head: str) -> Row:
    scans, true = with_effaced_sulci(head, 2)
    return compared(f"effaced {head}", head, taken_again(head, scans, 2), {"sulcal_csf": true})


def _swollen(head: str, percent: float) -> Row:
    scans, growth = with_swollen_thalami(head, percent, 3)
    return compared(f"swollen {head} {percent:g} %", head, scans, growth)


# -- tables ----------------------------------------------------------------------------------------


def worst(rows: list[Row], region: str) -> float | None:
    """Largest absolute figure of the comparisons without a change."""
    values = [
        abs(v) for row in rows if not row.true for v in [row.figures.get(region, (None, None))[0]] if v is not None
    ]
    return max(values, default=None)


def slope(rows: list[Row]) -> float | None:
    """Measured over true growth of the thalami, least squares through the origin."""
    points = [
        (row.true[t], v)
        for row in rows
        for t in THALAMI
        if t in row.true
        for v in [row.figures.get(t, (None, None))[0]]
        if v is not None
    ]
    return sum(x * y for x, y in points) / sum(x * x for x, _ in points) if points else None


def _cell(row: Row, region: str) -> str:
    value, sd = row.figures.get(region, (None, None))
    said = "not measured" if value is None else f"{value:+.1f}" + ("" if sd is None else f" ± {sd:.1f}")
    return said + (f" (true {row.true[region]:+.1f})" if region in row.true else "")


def _plain(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.2f}"


def main() -> int:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
    from rich.table import Table

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the real pairs and one head")
    options = parser.parse_args()
    names = tuple({*AGAIN, *(name for pair in PAIRS for name in pair)})
    problem = missing_data() or next(iter(heads.missing(names)), None)
    if problem:
        print(problem, file=sys.stderr)
        return 2
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)
    console = Console(width=None if sys.stdout.isatty() else 200)
    todo, rows = list(jobs(options.quick)), list[Row]()
    parts = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*parts, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=len(todo))
        for title, work in todo:
            bar.update(task, description=title)
            rows.append(work())
            bar.advance(task)
    table = Table(title="Volume change, percent ± one standard deviation")
    for heading in ("follow-up", *SHOWN, "problem"):
        table.add_column(heading)
    for row in rows:
        table.add_row(row.what, *(_cell(row, region) for region in SHOWN), row.problem)
    console.print(table)
    without = ", ".join(f"{region} {_plain(worst(rows, region))}" for region in SHOWN)
    console.print(f"largest figure without a change, %: {without}")
    console.print(f"measured over true growth of the thalami: {_plain(slope(rows))}")
    console.print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    return 0


if __name__ == "__main__":
    sys.exit(main())
