"""The command status: settings in, how the node on their state folder is out."""

from __future__ import annotations

import typer

from listener.commands.common import (
    ConfigOption,
    JsonFlag,
    existing_index,
    load_settings,
    out,
    print_json,
    quiet_logging,
)

UNWELL = 1  # exit code, also of a node that does not run


def status(config: ConfigOption = None, as_json: JsonFlag = False) -> None:
    """How the node is: its processes, index, broker, disk and queue. Exit code 1 when something is wrong."""
    quiet_logging()
    settings = load_settings(config)
    from listener.web.health import health_of
    from listener.web.site import Site
    from workers.container import open_results
    from workers.queue import broker

    facts = health_of(
        Site(
            settings,
            existing_index(settings),
            open_results(settings),
            lambda: broker.ping(broker.broker_url(settings)),
        )
    )
    if as_json:
        print_json(facts)
    else:
        out().print("ok" if facts["ok"] else f"not well: {', '.join(facts['problems'])}")
        for name, one in facts["processes"].items():
            out().print(f"{name}: {one['state']}")
        out().print(f"{facts['due']} studies wait for a worker")
        if facts["index_note"]:
            out().print(facts["index_note"])
    if not facts["ok"]:
        raise typer.Exit(UNWELL)
