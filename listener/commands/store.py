"""Commands about what a node keeps: store init, upgrade, clean."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from listener.commands.common import (
    ConfigOption,
    JsonFlag,
    existing_index,
    load_settings,
    out,
    print_json,
    quiet_logging,
    require_index,
)
from triage.errors import Misconfigured, Transient

store = typer.Typer(help="The stored images and their index.", no_args_is_help=True)


@store.callback()
def _store() -> None:
    """The stored images and their index."""


@store.command("init")
def init(config: ConfigOption = None) -> None:
    """Create the tables of the index.

    With store.shared_dir, also mark its file system as the store: once, from any host that has it mounted.
    """
    quiet_logging()
    settings = load_settings(config)
    if settings.store.shared_dir is not None:
        _mark(settings.store.files_dir)
    from workers.container import node_index

    node_index(settings)
    out().print("ready: the index")


@store.command("upgrade")
def upgrade(config: ConfigOption = None) -> None:
    """Upgrade the tables of the index to those of this program. Stop every node that uses the index before."""
    quiet_logging()
    settings = load_settings(config)
    require_index(settings)
    from workers.index.sql import upgrade_schema

    before, now = upgrade_schema(settings.index_url)
    out().print(f"the index has revision {now}" + ("" if before == now else f", before it had {before}"))


def _mark(folder: Path) -> None:
    from workers.files.store import SHARED_MARK

    try:
        (folder / SHARED_MARK).touch()
        alone = folder.stat().st_dev == Path("/").stat().st_dev
    except OSError as error:
        raise Misconfigured(f"store.shared_dir: {folder} cannot be used ({error.strerror})") from error
    out().print(f"ready: {folder}")
    if alone:
        out().print(
            "it is on this host's own disk: unless other hosts reach it another way, mount the shared store first"
        )


@store.command("clean")
def clean(
    config: ConfigOption = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="only say what would be deleted, and why the rest stays")
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Delete images by store.retention_days and store.clean_below_bytes. Decisions stay."""
    quiet_logging()
    settings = load_settings(config)
    index = existing_index(settings)
    from datetime import UTC, datetime

    from workers.container import open_deliveries
    from workers.files.store import open_files
    from workers.operations.retention import keeps, retention_of

    deliveries = open_deliveries(settings) if settings.results.destinations else None
    retention = retention_of(settings, index, open_files(settings), deliveries)
    kept: dict[str, str] = {}
    if dry_run:
        for facts in retention.facts():
            why = keeps(facts, now=datetime.now(UTC), settings=settings.store)
            kept[facts.row.study_instance_uid] = why or "recent"
    chosen = retention.plan() if dry_run else retention.run()
    if chosen is None:
        raise Transient("the node, or another host, is deleting images at this moment; nothing was done here")
    for one in chosen:
        kept.pop(one.study_instance_uid, None)
    entries: list[dict[str, Any]] = [
        {"study_instance_uid": one.study_instance_uid, "delete": True, "reason": one.reason, "bytes": one.size_bytes}
        for one in chosen
    ]
    entries += [{"study_instance_uid": uid, "delete": False, "reason": why, "bytes": None} for uid, why in kept.items()]
    if as_json:
        print_json(entries)
        return
    table = Table("would delete" if dry_run else "deleted", "reason", "MB")
    table.add_column("study", overflow="fold")
    for entry in entries:
        size = "-" if entry["bytes"] is None else f"{entry['bytes'] / 1e6:.1f}"
        table.add_row("yes" if entry["delete"] else "no", str(entry["reason"]), size, str(entry["study_instance_uid"]))
    out().print(table)
