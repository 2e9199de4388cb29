"""Refusals in the log: one line for an address and a reason in a minute, the next one says how many were left out."""

from __future__ import annotations

import pytest
import structlog

from listener.associations.refusals import EVERY_S, MOST_ADDRESSES, RefusalLog

ONE, OTHER = "10.0.0.1", "10.0.0.2"
FLOOD = [(0.0, "10.0.0.1", "not a listed peer")] * 500


@pytest.mark.parametrize(
    ("refusals", "said"),
    [
        pytest.param([], [], id="noop"),
        pytest.param(FLOOD, [("10.0.0.1", None)], id="a flood is one line"),
        pytest.param([*FLOOD, (EVERY_S, *FLOOD[0][1:])], [("10.0.0.1", None), ("10.0.0.1", 499)], id="then the count"),
        pytest.param([FLOOD[0], (1.0, OTHER, "not a listed peer")], [(ONE, None), (OTHER, None)], id="another address"),
        pytest.param([FLOOD[0], (1.0, ONE, "too many")], [(ONE, None), (ONE, None)], id="another reason"),
    ],
)  # fmt: skip
def test_lines(refusals: list[tuple[float, str, str]], said: list[tuple[str, int | None]]) -> None:
    clock = [0.0]
    log = RefusalLog(lambda: clock[0])
    with structlog.testing.capture_logs() as lines:
        for at_s, address, reason in refusals:
            clock[0] = at_s
            log.refused(address, reason, calling_ae="X")
    assert [(line["address"], line.get("left_out")) for line in lines] == said


def test_many_addresses_take_bounded_memory() -> None:
    log = RefusalLog(lambda: 0.0)
    for number in range(3 * MOST_ADDRESSES):
        log.refused(f"10.0.{number // 256}.{number % 256}", "not a listed peer", calling_ae="X")
    assert len(log._said) == MOST_ADDRESSES
