"""Whether the images that the Dockerfile and the compose files pin exist: part of `make audit`.

No test pulls an image, so a digest with a wrong sign, or one that its publisher deleted, would show on the day of the
installation only. The program of the containers asks the registry for the description of each image; nothing is
downloaded. Run as: python -m scripts.audit_images [PROGRAM]
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
FILES = ("Dockerfile", "compose.yaml", "compose.hosts.yaml")
CLEAN, FOUND, NOT_CHECKED = 0, 1, 3
PROGRAMS = ("docker", "podman", "skopeo")
TIME_LIMIT_S = 60
PINNED = re.compile(r"(?:^ARG BASE=|^\s*image:\s*)(\S+@sha256:[0-9a-f]+)\s*$", re.MULTILINE)
WHOLE = re.compile(r"@sha256:[0-9a-f]{64}$")
# what registries answer about an image that is not there; everything else says nothing about the image
ABSENT = re.compile(r"manifest unknown|not found|no such manifest|MANIFEST_UNKNOWN", re.IGNORECASE)


@dataclass(frozen=True)
class Asked:
    """One image. exists: None: nobody could say. why: the reason of None and of False."""

    image: str
    exists: bool | None
    why: str = ""


def pinned(texts: Sequence[str]) -> list[str]:
    """The images that these files pin by digest, each once."""
    return sorted({image for text in texts for image in PINNED.findall(text)})


def asked(image: str, inspect: Callable[[str], tuple[int, str]]) -> Asked:
    """inspect: image -> exit status and messages of the program that asks the registry."""
    if not WHOLE.search(image):
        return Asked(image, exists=False, why="its digest is not 64 signs long")
    status, said = inspect(image)
    if status == 0:
        return Asked(image, exists=True)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    why = lines[-1][:200] if lines else f"status {status} without a word"
    return Asked(image, exists=False if ABSENT.search(said) else None, why=why)


def command(program: str, image: str) -> list[str]:
    """What asks for the description of an image."""
    if Path(program).name == "skopeo":
        name, _, digest = image.partition("@")
        return [program, "inspect", "--raw", f"docker://{name.rpartition(':')[0] or name}@{digest}"]
    return [program, "manifest", "inspect", image]


def report(images: Sequence[Asked]) -> list[str]:
    """A line for each."""
    words = {True: "exists", False: "DOES NOT EXIST", None: "NOT CHECKED"}
    return [f"image {one.image}: {words[one.exists]}{f': {one.why}' if one.why else ''}" for one in images]


def exit_code(images: Sequence[Asked]) -> int:
    """CLEAN, FOUND (one does not exist), or NOT_CHECKED."""
    if any(one.exists is False for one in images):
        return FOUND
    return NOT_CHECKED if any(one.exists is None for one in images) else CLEAN


def main(arguments: Sequence[str]) -> int:
    """Print the report."""
    found = [*arguments[:1], *(path for name in PROGRAMS if (path := shutil.which(name)))]

    def inspect(image: str) -> tuple[int, str]:
        if not found:
            return 1, f"none of {', '.join(PROGRAMS)} is installed"
        try:
            done = subprocess.run(  # noqa: S603 - fixed commands; the images stand in our own files
                command(found[0], image), capture_output=True, text=True, timeout=TIME_LIMIT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            return 1, f"{Path(found[0]).name}: {type(error).__name__}"
        return done.returncode, done.stderr

    images = [asked(image, inspect) for image in pinned([(ROOT / name).read_text(encoding="utf-8") for name in FILES])]
    for line in report(images):
        sys.stdout.write(f"{line}\n")
    return exit_code(images)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
