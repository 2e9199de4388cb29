"""The table of kinds and the renderers name the same outputs."""

from __future__ import annotations

import pytest

from workers.destination_settings import ASKED_FOR, DestinationSettings
from workers.output_kinds import KINDS, OutputKind
from workers.outputs.all import ON_REQUEST, OUTPUTS

MADE = {output.kind: output for output in (*OUTPUTS, *ON_REQUEST)}


def test_each_kind_has_its_renderer_and_each_renderer_its_kind() -> None:
    assert {kind.name for kind in KINDS} == MADE.keys()
    assert len(KINDS) == len(MADE)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_what_is_dicom_is_said(kind: OutputKind) -> None:
    output = MADE[kind.name]
    assert (kind.dicom is not None) == (output.media_type == "application/dicom")


def test_every_output_can_be_asked_for() -> None:
    every = [output.kind for output in OUTPUTS]
    assert set(every) <= set(ASKED_FOR)
    assert DestinationSettings(name="pacs", outputs=every).outputs == tuple(every)  # type: ignore[arg-type]


@pytest.mark.parametrize("kinds", [[], ["csv"], ["outdated"], ["sr", "no such"]], ids=str)
def test_an_unknown_kind_is_refused_by_name(kinds: list[str]) -> None:
    with pytest.raises(ValueError, match="is no output; there are document, sr" if kinds else "at least 1 item"):
        DestinationSettings(name="pacs", outputs=kinds)  # type: ignore[arg-type]
