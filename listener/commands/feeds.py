"""Commands about the feeds of clinical systems: feeds (the process itself), feeds status | retry | dismiss."""

from __future__ import annotations

import threading
from pathlib import Path

import typer

from listener.commands.common import ConfigOption, JsonFlag, load_settings, out, print_json, quiet_logging
from listener.commands.node import ParentOption, begin, run_until_stopped
from listener.node.running import announce, ready_file
from triage.errors import Misconfigured
from workers.config import Settings
from workers.feeds.folders import feeds_folder, fhir_progress, open_inbox

feeds = typer.Typer(help="What clinical systems say about patients (HL7, FHIR): run the process, or ask about it.")


@feeds.callback(invoke_without_command=True)
def process(context: typer.Context, config: ConfigOption = None, parent: ParentOption = None) -> None:
    """Without a further word: take messages of clinical systems and apply them, until stopped."""
    if context.invoked_subcommand is None:
        _run(begin(config, "feeds", parent))


def _run(settings: Settings) -> None:
    from listener.mllp import process as body
    from workers.container import patient_facts, readings_of

    if not settings.feeds.wanted:
        raise Misconfigured(
            "feeds.hl7.port, feeds.fhir.url: nothing is configured; `icansee serve` starts this process when it is"
        )

    def ready(port: int | None) -> None:
        announce(ready_file(settings, "feeds"), **({} if port is None else {"port": port}))

    def work(stop: threading.Event) -> None:
        body.run(
            settings,
            stop=stop,
            ready=ready,
            index=lambda: patient_facts(settings),
            readings=lambda: readings_of(settings),
        )

    run_until_stopped(settings, "feeds", work)


@feeds.command("status")
def status(config: ConfigOption = None, as_json: JsonFlag = False) -> None:
    """How many messages wait, how many could not be applied, and how many FHIR resources could not be read."""
    quiet_logging()
    found = _status(load_settings(config))
    if as_json:
        print_json(found)
        return
    for name, value in found.items():
        out().print(f"{name:11} {value}")


def _status(settings: Settings) -> dict[str, int]:
    if not _has_run(settings):
        return {"waiting": 0, "failed": 0, "fhir_failed": 0}
    waiting, failed = open_inbox(settings).waiting()
    return {"waiting": waiting, "failed": failed, "fhir_failed": len(fhir_progress(settings).read().failed)}


@feeds.command("retry")
def retry(config: ConfigOption = None) -> None:
    """Apply the messages again that could not be applied, and read everything of the FHIR server again."""
    quiet_logging()
    settings = _settings(config)
    fhir_progress(settings).start_again()
    out().print(f"{open_inbox(settings).retry_failed()} messages wait again")


@feeds.command("dismiss")
def dismiss(config: ConfigOption = None) -> None:
    """Give the messages up that could not be applied, after what they say was entered by hand."""
    quiet_logging()
    out().print(f"{open_inbox(_settings(config)).dismiss_failed()} messages given up")


def _settings(config: Path | None) -> Settings:
    settings = load_settings(config)
    if not _has_run(settings):
        raise Misconfigured(f"store.state_dir: no feed has run on {settings.store.state_dir.absolute()}")
    return settings


def _has_run(settings: Settings) -> bool:
    """A question must not create folders."""
    return feeds_folder(settings).exists()
