"""What every command shares: the --config option, settings with their source, consoles, the UID argument."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
)

from listener.node.private import keep_private, refuse_other_account
from triage.errors import Misconfigured
from workers import config, log
from workers.config import Settings
from workers.delivery_ports import Deliveries
from workers.plain_text import json_text
from workers.ports import StudyIndex
from workers.settings import LogSettings

PIPED_WIDTH = 240
DEFAULT_CONFIG = Path("config.yaml")

ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="settings of the site; default: config.yaml in this folder, if there is one"),
]
JsonFlag = Annotated[bool, typer.Option("--json", help="pure JSON on stdout")]

BUG, WRONG_REQUEST, NOT_ASSESSABLE = 1, 2, 3


def load_settings(path: Path | None) -> Settings:
    """Settings of ``path``; without it config.yaml of the current folder, else the built-in defaults (said on stderr).

    Raises:
        Misconfigured: the file is missing or wrong.
    """
    if path is None and not DEFAULT_CONFIG.exists():
        print(f"no {DEFAULT_CONFIG} here: built-in defaults are used", file=sys.stderr)  # noqa: T201 - for the person at the terminal
        return Settings()
    return config.load(path or DEFAULT_CONFIG)


def existing_index(settings: Settings) -> StudyIndex:
    """The index of a node that ran here before.

    Raises:
        Misconfigured: none did; a question must not create an empty node.
        Transient: the database is away.
    """
    require_index(settings)
    from workers.container import node_index

    return node_index(settings)


def require_index(settings: Settings) -> None:
    """Does nothing when a node ran here before, or the index is a database elsewhere.

    Raises:
        Misconfigured: no node ran here, and a question must not create an empty node; or the node belongs to another
            account.
    """
    as_the_node(settings)
    if settings.owns_index and not (settings.store.state_dir / "index.db").exists():
        raise Misconfigured(f"store.state_dir: no node has run on {settings.store.state_dir.absolute()}")


def as_the_node(settings: Settings) -> None:
    """Files of this command are those of the node.

    Raises:
        Misconfigured: the node runs under another account.
    """
    keep_private(settings)
    if settings.owns_index:
        refuse_other_account(settings.store.state_dir, settings.store.state_dir / "index.db")


def open_ways_out(settings: Settings) -> Deliveries:
    """The deliveries of a node that ran here before.

    Raises:
        Misconfigured, Transient: as ``existing_index``.
    """
    require_index(settings)
    from workers.container import open_deliveries

    return open_deliveries(settings)


def index_time(settings: Settings) -> datetime:
    """The time that holds of what stands in the index: hosts that share a database go by its clock."""
    from workers.index.index_clock import clock_of

    return clock_of(settings).now()


def quiet_logging() -> None:
    """For commands that answer a person: only warnings, on stderr."""
    log.configure(LogSettings(level="warning", format="console"), process="cli")


def out() -> Console:
    """Results. No colour when piped, and wide enough that nothing is cut."""
    return Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else PIPED_WIDTH)


def err() -> Console:
    """Progress and remarks."""
    return Console(stderr=True, highlight=False)


def progress_bar(*, percent: bool = False) -> Progress:
    """A bar on stderr, gone when done. percent: the total is 1.0, otherwise it counts things."""
    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn() if percent else MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err(),
        transient=True,
    )


def print_json(value: Any) -> None:
    sys.stdout.write(json_text(value, indent=1) + "\n")


def iso_date(text: str | None, *, field: str) -> Any:
    """A date written YYYY-MM-DD; None stays None.

    Raises:
        Misconfigured: anything else; the message names ``field``.
    """
    from datetime import date

    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise Misconfigured(f"{field}: {text!r} is not a date written YYYY-MM-DD") from error
