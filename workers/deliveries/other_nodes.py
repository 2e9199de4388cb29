"""Nodes that share one index and have different destinations.

Each node plans for the destinations of its own settings, under its own rules. Whoever plans a decision or images first
leaves a row for each destination that another node serves at that time, and that node plans it from the row. A node
that was away looks for what was planned meanwhile when it serves the destination again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from workers.delivery_ports import PLAN, WAITS, Decided, Deliveries, Delivery, DeliveryState, Known
from workers.node_name import node_name
from workers.result_settings import ResultsSettings
from workers.settings import StoreSettings

HOLD_S = 60.0  # a destination whose sender gives no sign for longer is served by another host
GONE_S = 60.0  # a destination whose last hold ended before that is served by nobody
MOST_ENDED = 10_000  # rows of one destination at one start


def delivery_owner(store: StoreSettings) -> str:
    """What a process holds destinations and deliveries by; it is the same after a restart."""
    return node_name(store.state_dir)


def served_elsewhere(known: Iterable[Known], own: Collection[str], owner: str, now: datetime) -> list[str]:
    """Names of the destinations that other nodes serve now, and that are not in the settings of this one."""
    return [
        one.name
        for one in known
        if one.name not in own
        and one.owner not in (None, owner)
        and one.owner_until is not None
        and now < one.owner_until + timedelta(seconds=GONE_S)
    ]


def left_to_others(decided: Decided, names: Iterable[str], *, now: datetime, note: str | None = None) -> list[Delivery]:
    """The rows that stand for what other nodes have to plan. note: for them."""
    return [Delivery(decided, PLAN, name, due_at=now, state=DeliveryState.UNPLANNED, answer=note) for name in names]


def catch_up(deliveries: Deliveries, known: Known, *, owner: str, held: bool, now: datetime) -> int:
    """What was planned while nobody served a destination is to be planned for it; how much that is. Also this node may
    have planned it, without that destination in its settings.

    A new destination gets what was decided from its ``since`` on, and no images that came before.

    Args:
        known: as it was before this process took it.
        held: whether this process has served it without a break.
    """
    until = known.owner_until
    if until is not None and now < until and (held or known.owner != owner):
        return 0
    # whoever held it until then gave its last sign at most that long before
    since = known.since if until is None else until - timedelta(seconds=HOLD_S)
    some = deliveries.untold(known.name, since=since, images=until is not None)
    rows = [one for decided in some for one in left_to_others(decided, [known.name], now=now)]
    if rows:
        deliveries.add(rows, now=now)
    return len(rows)


def end_removed(deliveries: Deliveries, own: Collection[str], owner: str, *, alone: bool) -> int:
    """Delete what other nodes left for destinations that this one served last and has no more: nobody plans it. How
    much that was. Whoever serves such a destination again finds the decisions without the rows.

    Args:
        alone: no other node has this index.
    """
    numbers = [
        row.number
        for name in _removed(deliveries, own, owner, alone=alone)
        for row in deliveries.listed(states=[DeliveryState.UNPLANNED], destination=name, limit=MOST_ENDED)
    ]
    deliveries.end_unplanned(numbers)
    return len(numbers)


def waits_for_nobody(deliveries: Deliveries, own: Collection[str], owner: str, *, alone: bool) -> list[tuple[str, int]]:
    """Destinations that this node served last and has no more, with how much waits there. It stays, until the name
    stands in the settings again or a person gives it up.

    Args:
        alone: no other node has this index.
    """
    tallies = deliveries.tallies(ended=False)
    names = _removed(deliveries, own, owner, alone=alone)
    some = [(name, sum(tallies.get((name, state.value), 0) for state in WAITS)) for name in names]
    return [(name, number) for name, number in some if number]


def _removed(deliveries: Deliveries, own: Collection[str], owner: str, *, alone: bool) -> list[str]:
    return [one.name for one in deliveries.all_known() if one.name not in own and (alone or one.owner == owner)]


def narrowed(results: ResultsSettings, names: Collection[str]) -> ResultsSettings:
    """The settings with these destinations only."""
    return results.model_copy(update={"destinations": tuple(one for one in results.destinations if one.name in names)})


def by_key(rows: Iterable[Delivery], key: Callable[[Delivery], object]) -> Iterator[list[Delivery]]:
    """Rows that have one key, in the order of the first of each."""
    found: dict[object, list[Delivery]] = defaultdict(list)
    for one in rows:
        found[key(one)].append(one)
    yield from found.values()


def numbers_of(rows: Sequence[Delivery]) -> list[int]:
    return [one.number for one in rows]
