"""Searches for a missing baseline in, what a result says about them out: the key ``priors`` and sentences. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workers.prior_ports import PriorSearch, PriorSearches, SearchState

WORDS = {
    SearchState.FOUND: "earlier images were retrieved",
    SearchState.NOTHING: "it has no earlier study that can be the baseline",
    SearchState.GAVE_UP: "it could not be asked, or did not send everything: {failure}",
    SearchState.NOT_NEEDED: "not asked, an earlier study was found elsewhere",
}


def prior_notes(searches: Sequence[PriorSearch]) -> list[dict[str, Any]]:
    """JSON types, one for each archive in the order in which they are asked."""
    return [
        {
            "source": one.source,
            "state": one.state.value,
            "asked_at": None if one.asked_at is None else one.asked_at.isoformat(),
            "attempts": one.attempts,
            "answer": dict(one.answer),
            "failure": one.failure,
            "said": sentence(one),
        }
        for one in searches
    ]


def sentence(search: PriorSearch) -> str:
    """What became of one search, for a reader."""
    if search.state is not SearchState.WAITING:
        said = WORDS[search.state].format(failure=search.failure or "no reason given")
    elif search.failure is not None:
        said = f"no answer yet, it is asked again: {search.failure}"
    else:
        said = "it is being asked"
    return f"archive {search.source} for a missing baseline: {said}"


def with_priors(document: Mapping[str, Any], searches: Sequence[PriorSearch]) -> dict[str, Any]:
    """The document with the state of the searches now: key ``priors``, and a notice for each that asked or asks."""
    if not searches:
        return dict(document)
    shown = [sentence(one) for one in searches if one.state is not SearchState.NOT_NEEDED]
    earlier = {one["said"] for one in document.get("priors", ())}
    notices = [text for text in document.get("notices", ()) if text not in earlier]
    return {**document, "notices": [*notices, *shown], "priors": prior_notes(searches)}


def noted(document: Mapping[str, Any], searches: PriorSearches | None, study_instance_uid: str) -> dict[str, Any]:
    """The document with what was asked for its study; unchanged when no archive is asked."""
    return dict(document) if searches is None else with_priors(document, searches.of_study(study_instance_uid))
