"""Log events in, key=value or JSON lines on stderr out; stdout is for results.

Lines hold no PHI: study UIDs appear only as short hashes.
"""

from __future__ import annotations

import hashlib
import logging
import sys
import threading
import traceback
import warnings
from collections.abc import MutableMapping
from pathlib import Path
from typing import Any, cast

import structlog
from structlog.typing import Processor

from triage.errors import IcanseeError
from workers.plain_text import without_hidden
from workers.settings import LogSettings

# At INFO these libraries log arguments, data set contents or one line per message.
NOISY = (
    "pynetdicom",
    "celery",
    "kombu",
    "amqp",
    "billiard",
    "httpx",
    "httpcore",
    "uvicorn.access",
    "matplotlib",
    "PIL",
    "highdicom",
)


def configure(settings: LogSettings, *, process: str) -> None:
    """Set up logging of this process once; ``process`` names it in every line (listener, worker, beat, web, cli)."""
    structlog.contextvars.bind_contextvars(process=process)
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[structlog.stdlib.filter_by_level, *shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,  # a module's logger follows a later configure()
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_renderers(settings)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    # pydicom quotes invalid values in its log and on stderr
    logging.getLogger("pydicom").setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", module=r"pydicom\b")
    threading.excepthook = _report_dead_thread


def _report_dead_thread(died: threading.ExceptHookArgs) -> None:
    """Log the end of a thread like every other fault.

    Python would print the text of the error, which may quote a header.
    """
    if not isinstance(died.exc_value, SystemExit):
        name = died.thread.name if died.thread is not None else ""
        get_logger(__name__).error("thread.died", thread=name, exc_info=died.exc_value)


def get_logger(name: str) -> structlog.stdlib.BoundLogger:
    return cast(structlog.stdlib.BoundLogger, structlog.get_logger(name))


def study_hash(study_instance_uid: str) -> str:
    """The name of a study in log lines."""
    return uid_hash(study_instance_uid)


def uid_hash(uid: str) -> str:
    """The name of anything in log lines: the first 12 hexadecimal digits of the SHA-256 of its UID."""
    return hashlib.sha256(uid.encode()).hexdigest()[:12]


def bind(**values: Any) -> Any:
    """``with bind(task=..., study=...):`` adds the values to every line logged inside, also by library code."""
    return structlog.contextvars.bound_contextvars(**values)


def _one_line(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A value from outside begins no line of its own and hides none."""
    for name, value in event.items():
        if isinstance(value, str) and name != "exception":
            event[name] = without_hidden(value).replace("\r", " ").replace("\n", " ")
    return event


def _renderers(settings: LogSettings) -> list[Processor]:
    if settings.format == "json":
        return [_exception_without_values, _one_line, structlog.processors.JSONRenderer(sort_keys=False)]
    plain = structlog.dev.plain_traceback  # the one of rich prints local variables: whole headers with patient data
    return [
        _exception_without_values,
        _one_line,
        structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=plain),
    ]


def _exception_without_values(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace ``exc_info`` by the type of the error and its call stack.

    Only errors that never quote a data set keep their message.
    """
    error = event.pop("exc_info", None)
    if error is True:
        error = sys.exc_info()[1]
    elif isinstance(error, tuple):
        error = error[1]
    if isinstance(error, BaseException):
        event["exception"] = describe(error)
    return event


def describe(error: BaseException) -> str:
    """An error for the log: its type, its message if that is known to hold no PHI, and its call stack, innermost
    last."""
    frames = traceback.extract_tb(error.__traceback__)
    places = "".join(f"\n  {Path(f.filename).name}:{f.lineno} in {f.name}" for f in frames)
    cause = f"\ncaused by {describe(error.__cause__)}" if error.__cause__ is not None else ""
    return f"{brief(error)}{places}{cause}"


def brief(error: BaseException) -> str:
    """An error for one line: its type, and its message if that is known to hold no PHI.

    Of an OSError the number and text of the system are given. Its own message names the file, and file names are UIDs.
    """
    if isinstance(error, IcanseeError):
        return f"{type(error).__name__}: {error}"
    if isinstance(error, OSError) and error.errno is not None:
        return f"{type(error).__name__}: [Errno {error.errno}] {error.strerror}"
    return type(error).__name__
