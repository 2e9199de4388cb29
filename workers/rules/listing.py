"""The rules of a site for somebody who only looks at them. Whether an output can be sent to a destination is checked
where the rules are used (workers.rules.site)."""

from __future__ import annotations

from workers.destination_settings import ASKED_FOR
from workers.result_settings import ResultsSettings
from workers.rules.facts import LANGUAGE
from workers.rules.read import Vocabulary, read_rules
from workers.rules.rule import Rule


def listed_rules(results: ResultsSettings) -> list[Rule]:
    """In their order; none when the settings name no file.

    Raises:
        Misconfigured: the file cannot be read, or is wrong.
    """
    if results.rules is None:
        return []
    names = {one.name for one in results.destinations}
    kinds = {one.name: one.kind for one in results.destinations}
    known = Vocabulary(names, set(ASKED_FOR), LANGUAGE, alerts=kinds, image_takers=names)
    return list(read_rules(results.rules, known).rules)
