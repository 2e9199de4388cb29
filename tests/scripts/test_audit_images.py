"""make audit: whether the images that are pinned by digest exist, or why nobody could say."""

from __future__ import annotations

from pathlib import Path

import pytest

from scripts.audit_images import CLEAN, FILES, FOUND, NOT_CHECKED, ROOT, Asked, asked, command, exit_code, main, pinned

IMAGE = f"redis:7@sha256:{'a' * 64}"


def test_every_image_of_the_project_is_found() -> None:
    found = pinned([(ROOT / name).read_text(encoding="utf-8") for name in FILES])
    assert [one.partition(":")[0] for one in found] == ["postgres", "python", "redis"]


@pytest.mark.parametrize(
    ("image", "status", "said", "exists"),
    [
        pytest.param(IMAGE, 0, "", True, id="there"),
        pytest.param(IMAGE, 1, "manifest unknown: manifest unknown", False, id="not there"),
        pytest.param(IMAGE, 1, "no such manifest: redis", False, id="not there, in other words"),
        pytest.param(IMAGE, 1, "dial tcp: connection refused", None, id="not checked: nobody answers"),
        pytest.param(IMAGE, 1, "toomanyrequests: you have reached your limit", None, id="not checked: too many"),
        pytest.param(IMAGE, 1, "", None, id="not checked: no word"),
        pytest.param(IMAGE[:-1], 0, "", False, id="a sign is missing"),
    ],
)
def test_what_is_said_about_an_image(image: str, status: int, said: str, exists: bool | None) -> None:
    one = asked(image, lambda _: (status, said))
    assert one.exists is exists
    assert bool(one.why) is not exists or exists is None


@pytest.mark.parametrize(
    ("found", "status"),
    [([], CLEAN), ([True], CLEAN), ([True, None], NOT_CHECKED), ([None, False], FOUND)],
)
def test_how_it_ends(found: list[bool | None], status: int) -> None:
    assert exit_code([Asked(IMAGE, exists) for exists in found]) == status


def test_skopeo_takes_no_tag_beside_a_digest() -> None:
    assert command("/usr/bin/skopeo", IMAGE)[-1] == f"docker://redis@sha256:{'a' * 64}"


def test_a_program_that_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = tmp_path / "docker"
    program.write_text("#!/bin/sh\necho 'no route to host' >&2\nexit 1\n")
    program.chmod(0o700)
    assert main([str(program)]) == NOT_CHECKED
    assert "NOT CHECKED: no route to host" in capsys.readouterr().out
