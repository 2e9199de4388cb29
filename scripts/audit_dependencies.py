"""What the program depends on: licences and known vulnerabilities of everything in uv.lock that it runs with.

Licences are read from the installed packages. Vulnerabilities are asked of OSV (osv.dev) by `uv audit`; the answer
is as old as the moment of the question, which is printed. Without a network nothing is known about vulnerabilities,
and the report says so. Run as: python -m scripts.audit_dependencies [UV [OPTIONS OF UV AUDIT]]
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
CLEAN, FOUND, NOT_CHECKED = 0, 1, 3
TIME_LIMIT_S = 120
CALM = ("--preview-features", "audit-command,json-output")  # without it uv warns that the command is new

# The first that fits counts. A weak copyleft library may be used by a program under another licence; changes of the
# library itself have to be published.
KINDS = (
    ("weak copyleft", re.compile(r"\bLGPL|Lesser General Public|\bMPL|Mozilla Public", re.IGNORECASE)),
    ("copyleft", re.compile(r"\bA?GPL|General Public License", re.IGNORECASE)),
    (
        "permissive",
        re.compile(
            r"\bMIT\b|\bBSD|Apache|\bISC\b|\bPSF|Python Software Foundation|\b0BSD\b|Unlicense|Zlib", re.IGNORECASE
        ),
    ),
)
REFUSED = ("copyleft", "unknown")


@dataclass(frozen=True)
class Licensed:
    """One package of the lock file. kind: of KINDS, or ``unknown``."""

    name: str
    version: str
    licence: str
    kind: str


@dataclass(frozen=True)
class Vulnerability:
    """One that OSV knows for a package in its locked version. fixed_in: empty, none is known."""

    package: str
    version: str
    identifier: str
    summary: str
    fixed_in: str


def kind_of(licence: str) -> str:
    """Of a licence's name or SPDX expression. Who may choose between several takes the permissive one."""
    choices = re.split(r"\bOR\b", licence)
    kinds = [next((kind for kind, words in KINDS if words.search(one)), "unknown") for one in choices]
    return next((kind for kind in ("permissive", "weak copyleft", "copyleft") if kind in kinds), "unknown")


def licence_of(said: Mapping[str, Sequence[str]]) -> str:
    """What the metadata of a package says (core metadata 2.4): expression, classifiers, free text; empty: nothing."""
    for field in ("License-Expression", "Classifier", "License"):
        values = [v for v in said.get(field, ()) if field != "Classifier" or v.startswith("License ::")]
        texts = [v.rpartition(" :: ")[2].strip().splitlines()[0][:80] for v in values if v.strip()]
        if texts and texts != ["OSI Approved"]:
            return ", ".join(texts)
    return ""


def licences(requirements: Iterable[str]) -> list[Licensed]:
    """Of the locked packages, by name. One that is not installed here has no licence."""
    found = []
    for line in requirements:
        requirement = Requirement(line)
        if requirement.marker is not None and not requirement.marker.evaluate():
            continue
        version = next(iter(requirement.specifier)).version
        licence = _installed_licence(requirement.name)
        found.append(Licensed(requirement.name, version, licence or "not stated", kind_of(licence)))
    return sorted(found, key=lambda one: one.name)


def _installed_licence(name: str) -> str:
    try:
        message = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        return ""
    return licence_of(
        {field: message.get_all(field) or [] for field in ("License-Expression", "Classifier", "License")}
    )


def vulnerabilities(answer: Mapping[str, Any]) -> list[Vulnerability]:
    """What `uv audit --output-format json` found.

    Raises:
        ValueError: it is not in the form that is known here.
    """
    if not isinstance(answer.get("vulnerabilities"), list):
        raise ValueError("the answer of uv audit has no list of vulnerabilities")
    return [
        Vulnerability(
            str(one["dependency"]["name"]),
            str(one["dependency"]["version"]),
            str(one["id"]),
            str(one.get("summary") or ""),
            ", ".join(map(str, one.get("fix_versions") or ())),
        )
        for one in answer["vulnerabilities"]
    ]


def report(found: Sequence[Licensed], known: Sequence[Vulnerability] | None, *, why: str, now: datetime) -> list[str]:
    """The lines of the report. known: None: nobody could be asked; why: the reason."""
    counts = {kind: sum(one.kind == kind for one in found) for kind in ("permissive", "weak copyleft", *REFUSED)}
    lines = [f"licences of {len(found)} packages: " + ", ".join(f"{n} {kind}" for kind, n in counts.items() if n)]
    lines += [f"  {one.kind}: {one.name} {one.version} ({one.licence})" for one in found if one.kind != "permissive"]
    if known is None:
        lines.append(f"vulnerabilities: NOT CHECKED, OSV could not be asked: {why}")
        return lines
    lines.append(f"vulnerabilities: {len(known)} known to OSV (osv.dev) on {now:%Y-%m-%d %H:%M} UTC")
    for one in known:
        fixed = f"fixed in {one.fixed_in}" if one.fixed_in else "no fix known"
        lines.append(f"  {one.package} {one.version}: {one.identifier} {one.summary} ({fixed})")
    return lines


def exit_code(found: Sequence[Licensed], known: Sequence[Vulnerability] | None) -> int:
    """CLEAN, FOUND (a vulnerability, or a licence that has to be looked at), or NOT_CHECKED."""
    if known or any(one.kind in REFUSED for one in found):
        return FOUND
    return NOT_CHECKED if known is None else CLEAN


def _uv(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603 - fixed commands of uv
        [program, *arguments], cwd=ROOT, capture_output=True, text=True, timeout=TIME_LIMIT_S, check=False
    )


def locked(program: str) -> list[str]:
    """Requirements with exact versions, of the program and without those of its development.

    Raises:
        RuntimeError: uv cannot read the lock file.
    """
    done = _uv(program, "export", "--frozen", "--no-dev", "--no-emit-project", "--no-hashes", "--no-annotate", "-q")
    if done.returncode != 0:
        raise RuntimeError(f"uv export: {done.stderr.strip()}")
    return [line for line in done.stdout.splitlines() if line.strip() and not line.startswith("#")]


def ask(program: str, *more: str) -> tuple[list[Vulnerability] | None, str]:
    """What OSV knows; None and the reason when nobody could be asked. more: options of uv audit."""
    try:
        done = _uv(program, "audit", "--frozen", "--no-dev", "--output-format", "json", *CALM, *more)
        return vulnerabilities(json.loads(done.stdout)), ""
    except subprocess.TimeoutExpired:
        return None, f"no answer within {TIME_LIMIT_S} s"
    except (ValueError, KeyError, TypeError):
        causes = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        return None, causes[-1] if causes else "the answer is in an unknown form"


def main(arguments: Sequence[str]) -> int:
    """Print the report."""
    program = arguments[0] if arguments else str(ROOT / ".venv-bootstrap" / "bin" / "uv")
    found = licences(locked(program))
    known, why = ask(program, *arguments[1:])
    for line in report(found, known, why=why, now=datetime.now(UTC)):
        sys.stdout.write(f"{line}\n")
    return exit_code(found, known)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
