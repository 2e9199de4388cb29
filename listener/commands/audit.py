"""Commands about the audit log of the web application: audit verify."""

from __future__ import annotations

import typer

from listener.commands.common import BUG, ConfigOption, load_settings, out, quiet_logging
from triage.errors import Misconfigured

audit = typer.Typer(help="Who saw and changed what in the web application.", no_args_is_help=True)


@audit.callback()
def _audit() -> None:
    """Who saw and changed what in the web application."""


@audit.command("verify")
def verify(config: ConfigOption = None) -> None:
    """Say whether every line of the audit log is as it was written; exit code 1 when one is not."""
    quiet_logging()
    from workers.audit.journal import journal_file, verify_journal

    path = journal_file(load_settings(config))
    try:
        found = verify_journal(path)
    except OSError as error:
        raise Misconfigured(f"store.state_dir: {path} cannot be read ({error.strerror})") from error
    for number in found.broken:
        out().print(f"line {number} of {path.name} was changed or not written whole, or one before it was removed")
    if found.broken:
        out().print(f"{found.entries} other entries, none changed; digest of the last line: {found.last}")
        raise typer.Exit(BUG)
    out().print(f"{found.entries} entries, none changed; digest of the last: {found.last}")
