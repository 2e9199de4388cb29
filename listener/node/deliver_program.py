"""The delivery process: settings over a descriptor in, results at the destinations out, until it is told to stop.

A program of its own, which `icansee serve` starts, and into which `icansee deliver` turns, once the settings are
checked: that check needs the measurement core, and images and alerts are not to wait for it after a crash.
"""

from __future__ import annotations

import sys

from listener.node.running import announce
from listener.node.turned import turned_into
from triage.errors import Misconfigured
from workers import log
from workers.container import run_deliveries
from workers.deliveries.all import open_destinations
from workers.image_ports import IMAGES
from workers.output_kinds import KINDS
from workers.result_settings import IMAGE_KINDS, ResultsSettings
from workers.rules.rule import RuleSet

FAULT = 1  # exit code of a fault of the program, as of every command


def main() -> None:
    with turned_into("deliver", alone=True) as program:
        try:
            # wrong settings and rules are refused before anything is announced
            destinations, rules = open_destinations(program.settings), usable_rules(program.settings.results)
            run_deliveries(program.settings, destinations, rules, program.stop, ready=lambda: announce(program.ready))
        except Misconfigured:
            raise
        except Exception as error:
            # no message and no values: those of an unexpected error may quote a header
            sys.stderr.write(f"icansee: a fault of the program: {log.describe(error)}\n")
            sys.exit(FAULT)


def usable_rules(results: ResultsSettings) -> RuleSet | None:
    """The rules of the settings; None: there are none.

    Raises:
        Misconfigured: they are wrong, or a destination is to get something that is not made for its kind.
    """
    made = {kind.name for kind in KINDS if not kind.says_wrong}
    for one in results.destinations:
        makes = made | ({IMAGES} if one.kind in IMAGE_KINDS else set())
        missing = sorted(set(one.outputs) - makes)
        if missing:
            kinds = ", ".join(sorted(makes))
            raise Misconfigured(f"results.destinations.{one.name}.outputs: {missing[0]} is not made; made: {kinds}")
    if results.rules is None:
        return None
    from workers.rules.site import rules_of

    return rules_of(results)


if __name__ == "__main__":
    main()
