"""Headers of derived diffusion series in; whether the header says for sure that they are weighted out."""

from __future__ import annotations

import pytest

from triage.model import SequenceKind, SeriesHeader
from triage.sequences.identify import identify


@pytest.mark.parametrize(
    ("image_type", "b_values", "description", "sure"),
    [
        pytest.param(("DERIVED", "PRIMARY", "COMBINED"), (1000.0,), "", False, id="derived and nameless"),
        pytest.param(("DERIVED", "PRIMARY", "COMBINED"), (1000.0,), "Ax DWI", True, id="a word says it"),
        pytest.param(("DERIVED", "PRIMARY", "DIFFUSION", "TRACEW"), (1000.0,), "", True, id="a trace by its type"),
        pytest.param(("DERIVED", "PRIMARY", "COMBINED"), (0.0, 1000.0), "", True, id="both weightings: no map"),
        pytest.param(("ORIGINAL", "PRIMARY", "OTHER"), (1000.0,), "", True, id="noop: not derived"),
    ],
)
def test_what_may_be_a_map_is_called_weighted_with_doubt(
    image_type: tuple[str, ...], b_values: tuple[float, ...], description: str, sure: bool
) -> None:
    """GE writes the b-value of the images into the map made of them: without its name the values decide."""
    found = identify(
        SeriesHeader(
            "1.2", series_description=description, scanning_sequence=("EP", "SE"), repetition_time_ms=7000,
            echo_time_ms=82, image_type=image_type, b_values=b_values,
        )
    )  # fmt: skip
    assert found.kind is SequenceKind.DWI
    assert (found.confidence > 0.8) is sure
    assert any("values decide" in reason for reason in found.reasons) is not sure
