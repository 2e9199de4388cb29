"""Commands about archives that are asked for missing baselines: priors (the process itself), priors retry."""

from __future__ import annotations

import threading
from typing import Annotated

import typer

from listener.commands.common import ConfigOption, existing_index, index_time, load_settings, out, quiet_logging
from listener.commands.node import ParentOption, begin, run_until_stopped
from listener.node.private import only_one
from listener.node.running import announce, ready_file
from triage.errors import Misconfigured
from workers.config import Settings

priors = typer.Typer(help="Archives that are asked for missing baselines: run the process, or have them asked again.")


@priors.callback(invoke_without_command=True)
def ask_archives(context: typer.Context, config: ConfigOption = None, parent: ParentOption = None) -> None:
    """Without a further word: ask archives for missing baselines and retrieve them, and the worklist for the priority
    of orders, until stopped."""
    if context.invoked_subcommand is None:
        _run(begin(config, "priors", parent))


def _run(settings: Settings) -> None:
    from workers.priors import loop

    if not settings.priors.wanted and settings.feeds.worklist is None:
        raise Misconfigured(
            "priors.sources, feeds.worklist: nothing is configured; `icansee serve` starts this process when it is"
        )

    def work(stop: threading.Event) -> None:
        with only_one(settings.store.state_dir, "priors"):
            loop.run(settings, stop, ready=lambda: announce(ready_file(settings, "priors")))

    run_until_stopped(settings, "priors", work)


@priors.command("retry")
def retry_searches(
    study_uid: Annotated[str | None, typer.Argument(help="follow-up whose archives are asked again")] = None,
    everything: Annotated[bool, typer.Option("--all", help="every search that failed, of the newest studies")] = False,
    config: ConfigOption = None,
) -> None:
    """Ask the archives of a study again, whatever they answered; or all that could not be asked."""
    quiet_logging()
    settings = load_settings(config)
    index = existing_index(settings)
    from workers.container import open_searches
    from workers.priors.loop import LOOKED_AT
    from workers.priors.search_again import answered, failed

    if (study_uid is None) is not everything:
        raise Misconfigured("STUDY_UID, --all: name one study, or all")
    searches, now = open_searches(settings), index_time(settings)
    if study_uid is not None:
        wanted = answered(searches.of_study(study_uid), now)
        if not wanted:
            raise Misconfigured(f"STUDY_UID: no archive was asked for {study_uid}")
    else:
        known = searches.of_studies([row.study_instance_uid for row in index.studies(limit=LOOKED_AT)])
        wanted = failed([one for some in known.values() for one in some], now)
    planned = sum(searches.plan_again(one, now=now) for one in wanted)
    out().print(f"{planned} searches wait again")
