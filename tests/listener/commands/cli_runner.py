"""The command line in this process: arguments in; exit code, stdout and stderr out."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import structlog
import yaml

from listener.commands import main as cli


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


class Icansee:
    """Runs commands in a folder with a config.yaml whose state lies in the same folder."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        monkeypatch.chdir(folder)
        monkeypatch.setenv("COLUMNS", "200")
        self.configure()

    def configure(self, **sections: object) -> None:
        settings = {"store": {"state_dir": str(self.folder / "state")}, **sections}
        (self.folder / "config.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")

    def __call__(self, *arguments: str) -> Answer:
        self._monkeypatch.setattr(sys, "argv", ["icansee", *arguments])
        self._capsys.readouterr()
        mask = os.umask(0o077)
        os.umask(mask)
        with _logging_as_it_was():
            try:
                cli.main()
                code = 0
            except SystemExit as end:
                code = int(end.code or 0)
            finally:
                os.umask(mask)
        captured = self._capsys.readouterr()
        return Answer(code, captured.out, captured.err)


@contextmanager
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, configured, config = (
        root.handlers[:],
        root.level,
        structlog.is_configured(),
        structlog.get_config(),
    )
    try:
        yield
    finally:
        structlog.reset_defaults()
        if configured:
            structlog.configure(**config)
        structlog.contextvars.clear_contextvars()
        root.handlers[:], root.level = handlers, level
