"""The command `icansee`: arguments in, one of four exit codes out (0 done, 1 a bug, 2 the request is wrong, 3 not
assessable)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from listener.commands import assess as cli_assess
from listener.commands import audit as cli_audit
from listener.commands import deliveries as cli_deliveries
from listener.commands import export as cli_export
from listener.commands import feedback as cli_feedback
from listener.commands import feeds as cli_feeds
from listener.commands import identities as cli_identities
from listener.commands import inspection as cli_inspection
from listener.commands import node as cli_node
from listener.commands import patients as cli_patients
from listener.commands import priors as cli_priors
from listener.commands import rules as cli_rules
from listener.commands import send as cli_send
from listener.commands import set_aside as cli_set_aside
from listener.commands import status as cli_status
from listener.commands import store as cli_store
from listener.commands import studies as cli_studies
from listener.commands import users as cli_users
from listener.commands.common import BUG, NOT_ASSESSABLE, WRONG_REQUEST, ConfigOption, load_settings, out
from triage.errors import Misconfigured, NotAssessable, Transient
from workers import log

app = typer.Typer(
    name="icansee",
    help="A DICOM node with automatic triage of suspected CAR-T neurotoxicity on brain MRI.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,  # a traceback with local variables could show a patient
    add_completion=False,
)
config_app = typer.Typer(help="The site's settings.", no_args_is_help=True)

for command in (
    cli_node.serve,
    cli_node.listener,
    cli_node.worker,
    cli_node.beat,
    cli_node.web,
    cli_status.status,
    cli_deliveries.deliver,
    cli_assess.assess,
    cli_inspection.inspect,
    cli_send.send,
    cli_studies.studies,
    cli_studies.show,
    cli_studies.replay,
    cli_export.export,
    cli_assess.simulate,
):
    app.command(command.__name__)(command)
app.add_typer(cli_store.store, name="store")
cli_patients.patients.command("merge")(cli_identities.merge)
cli_patients.patients.command("split")(cli_identities.split)
cli_patients.patients.command("history")(cli_identities.history)
cli_patients.patients.add_typer(cli_identities.corrections, name="corrections")
app.add_typer(cli_patients.patients, name="patients")
app.add_typer(cli_set_aside.set_aside, name="set-aside")
app.add_typer(cli_feeds.feeds, name="feeds")
app.add_typer(cli_priors.priors, name="priors")
app.add_typer(cli_deliveries.deliveries, name="deliveries")
app.add_typer(cli_rules.rules, name="rules")
app.add_typer(cli_feedback.feedback, name="feedback")
app.add_typer(cli_audit.audit, name="audit")
app.add_typer(cli_users.users, name="users")
app.add_typer(config_app, name="config")


@config_app.callback()
def _config() -> None:
    """The site's settings."""


@config_app.command("check")
def check(
    config: ConfigOption = None,
    connect: Annotated[
        bool, typer.Option("--connect", help="also call every destination and every system that is asked")
    ] = False,
) -> None:
    """Say ok, or what is wrong with which key. It also checks the rules and the files of the destinations."""
    from listener.node.deliver_program import usable_rules
    from workers.deliveries.all import open_destinations

    settings = load_settings(config)
    open_destinations(settings.node())
    usable_rules(settings.results)
    if connect:
        from listener.commands.connect import check_peers

        check_peers(settings)
    out().print(f"ok: {config or Path('config.yaml')}" if config or Path("config.yaml").exists() else "ok: defaults")


def main() -> None:
    """Entry point of the command line."""
    try:
        app()
    except Misconfigured as error:
        _say(str(error))
        sys.exit(WRONG_REQUEST)
    except NotAssessable as error:
        _say(f"not assessable: {error}")
        sys.exit(NOT_ASSESSABLE)
    except Transient as error:
        _say(f"not possible now: {error}")
        sys.exit(BUG)
    except OSError as error:  # of the disk or of permissions; whoever types a command may read the name of a file
        where = f"{error.filename}: " if error.filename is not None else ""
        _say(f"not possible now: {where}{error.strerror or type(error).__name__}")
        sys.exit(BUG)
    except Exception as error:
        # no message and no values: those of an unexpected error may quote a header
        _say(f"a fault of the program: {log.describe(error)}")
        sys.exit(BUG)


def _say(text: str) -> None:
    sys.stderr.write(f"icansee: {text}\n")


if __name__ == "__main__":
    main()
