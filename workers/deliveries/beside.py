"""Deliveries of a study in, what an output of it may name as sent out. Pure, but for ``Beside``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping

from workers.delivery_ports import Decided, Delivery, DeliveryState
from workers.outputs.beside import WentOut
from workers.outputs.output import EvidenceFiles

MOST = 10_000  # deliveries of one study
REPORT = "sr"


class Beside(Mapping[str, bytes]):
    """Evidence with further files, each made when it is asked for. Whoever lists the files does not see them."""

    def __init__(self, files: EvidenceFiles, made: Mapping[str, Callable[[], bytes]]) -> None:
        self._files, self._made = files, made

    def __getitem__(self, name: str) -> bytes:
        return self._made[name]() if name in self._made else self._files[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


def arrived(one: Delivery) -> bool:
    """Also a delivery that had nothing to send is done."""
    return one.state is DeliveryState.DONE and bool(one.size_bytes)


def may_have_arrived(one: Delivery) -> bool:
    """Also one that is on its way, or was tried without an answer that says no."""
    if one.shadow or one.state is DeliveryState.DONE:
        return arrived(one)
    return one.attempts > 0 and one.error_class != "permanent"


def what_went_out(found: Iterable[Delivery], decided: Decided, destination: str | None) -> WentOut:
    """What went out before an output of a decision.

    Args:
        found: deliveries of the study. The earlier report counts wherever it is: an object is the same for everybody.
        destination: None: it is not known who gets the output.
    """
    some = list(found)
    own = [one for one in some if one.decided == decided and one.destination == destination]
    kinds = None if destination is None else frozenset(one.output for one in own if may_have_arrived(one))
    reports = [one.decided for one in some if one.output == REPORT and arrived(one)]
    earlier = [one for one in reports if one.sequence < decided.sequence]
    newest = max(earlier, key=lambda one: one.sequence, default=None)
    return WentOut(kinds, None if newest is None else (newest.revision, newest.stage))
