"""Expressions of rules that want too much: is each refused or cut, and what does it cost?

    python -m bench.hostile_rules [--repeats 5]

For each expression: the median processor time, the growth of the memory of a process of its own, and what is said. The
bars are 100 ms and 200 MB. An ordinary rule on the same facts stands first: a slow machine is slow for it, too.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import statistics
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from workers.rules.expression import LONGEST_EXPRESSION, NotEvaluableError, WrongExpressionError
from workers.rules.facts import LANGUAGE, decision_facts

MOST_S, MOST_KB = 0.1, 200_000
ORDINARY = 'priority == "P1" && kinds.exists(kind, kind == "flair")'


def grown(levels: int) -> str:
    """Each level makes the text four times as long, with few steps."""
    inner = "a.size() > 0"
    for _ in range(levels):
        inner = f"[a + a + a + a].map(a, {inner}).size() > 0"
    return f"[issuer].map(a, {inner}).size() > 0"


HOSTILE: Mapping[str, str] = {
    "20,000 terms": " + ".join(["hour"] * 20_000) + " > 0",
    "nested all": "kinds.all(a, " * 6 + "true" + ")" * 6,
    "texts that grow": grown(12),
    "concatenation": "issuer + issuer == issuer",
    "nested map": "kinds.map(a, kinds.map(b, kinds.map(c, c))).size() > 0",
    "brackets": "(" * 500 + "true" + ")" * 500,
    "patterns": "kinds.all(a, kinds.all(b, kinds.all(c, a.matches('(a+)+$'))))",
    "long": "x" * (LONGEST_EXPRESSION + 1),
}


def with_long_texts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of a rule, with an issuer and 50 kinds of a million characters each."""
    return {**facts, "issuer": "a" * 1_000_000, "kinds": ["a" * 1_000_000] * 50}


def _said(text: str, facts: Mapping[str, Any]) -> str:
    try:
        return str(LANGUAGE.compiled(text).holds(facts)).lower()
    except (WrongExpressionError, NotEvaluableError) as error:
        return str(error)[:60]


def _cost(text: str, facts: Mapping[str, Any], repeats: int) -> tuple[float, int, str]:
    """Median s, kB, and what is said; run in a process of its own."""
    LANGUAGE.compiled("true").holds(facts)  # the library is loaded
    before_kb, spent, said = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, [], ""
    for _ in range(repeats):
        began = time.process_time()
        said = _said(text, facts)
        spent.append(time.process_time() - began)
    return statistics.median(spent), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb, said


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    decision = {"category": "possible", "priority": "P1", "reasons": []}
    document = {"stage": "full", "series": [{"kind": "flair"}], "findings": [], "decision": decision}
    document |= {"study": {"days_after_infusion": None}, "baseline": None}
    facts = with_long_texts(decision_facts(document, None, [], now=datetime(2024, 3, 11, tzinfo=UTC)))
    over = 0
    with multiprocessing.get_context("spawn").Pool(1, maxtasksperchild=1) as alone:
        for name, text in {"an ordinary rule": ORDINARY, **HOSTILE}.items():
            spent_s, more_kb, said = alone.apply(_cost, (text, facts, repeats))
            over += spent_s > MOST_S or more_kb > MOST_KB
            print(f"{name:20} {1000 * spent_s:7.1f} ms {more_kb / 1000:6.1f} MB  {said}", flush=True)
    print(f"{over} over {1000 * MOST_S:g} ms or {MOST_KB / 1000:g} MB")


if __name__ == "__main__":
    main()
