"""A folder of DICOM files in, C-STORE out: `icansee send`. Transfer syntaxes go as stored; contexts only for what the
files need."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from listener.commands.common import BUG, ConfigOption, err, load_settings, out, progress_bar, quiet_logging
from listener.node.running import running_port
from triage.errors import Misconfigured
from workers import dicom_status
from workers.listing import files_below
from workers.remote.reactor import reactor_paused, send_without_delay

MOST_CONTEXTS = 128  # PS3.8 section 9.3.2.2: odd identifiers from 1 to 255
TRIES_PER_FILE = 3
RESPONSE_TIMEOUT_S = 30.0


@dataclass(frozen=True)
class OutgoingFile:
    path: Path
    sop_class_uid: str
    transfer_syntax_uid: str


@dataclass
class SendReport:
    """What became of the files. failed: file -> why."""

    sent: int = 0
    warned: int = 0
    failed: dict[Path, str] = field(default_factory=dict)


def send(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="sent with everything below it")],
    host: Annotated[str | None, typer.Option("--host", "--H", help="default: the node of the settings")] = None,
    port: Annotated[int | None, typer.Option("--port", "--P", min=1, max=65535)] = None,
    called: Annotated[str | None, typer.Option("--called", help="AE title of the receiver")] = None,
    calling: Annotated[str, typer.Option("--calling", help="AE title of this sender")] = "ICANSEE-SCU",
    config: ConfigOption = None,
) -> None:
    """Send DICOM files by C-STORE; by default to the node of the settings."""
    quiet_logging()
    logging.getLogger("pynetdicom").setLevel(
        logging.CRITICAL
    )  # what goes wrong is said below, with the option to change
    settings = load_settings(config)
    files, ignored, unreadable = find_files(folder)
    if not files and not unreadable:
        raise Misconfigured(f"DIR: no DICOM files in {folder}")
    target = Target(
        host or _reachable(settings.listener.host),
        port or running_port(settings, "listener") or settings.listener.port,
        called or settings.listener.ae_title,
        calling,
    )
    with progress_bar() as bar:
        task = bar.add_task("sending", total=len(files))
        report = send_files(files, target, on_file=lambda: bar.advance(task))
    report.failed.update(unreadable)
    for path, why in report.failed.items():
        err().print(f"not sent: {path}: {why}", soft_wrap=True, markup=False)
    warned = f", {report.warned} with a warning" if report.warned else ""
    out().print(
        f"{report.sent} of {len(files) + len(unreadable)} stored{warned}"
        + (f"; {ignored} other files ignored" if ignored else "")
    )
    if report.failed:
        raise typer.Exit(BUG)


@dataclass(frozen=True)
class Target:
    host: str
    port: int
    called: str
    calling: str


def find_files(folder: Path) -> tuple[list[OutgoingFile], int, dict[Path, str]]:
    """DICOM files below ``folder`` in name order, how many other files lie there, and which files and folders cannot be
    read, and why.

    Raises:
        Misconfigured: no such folder.
    """
    import pydicom

    if not folder.exists():
        raise Misconfigured(f"DIR: {folder} does not exist")
    files: list[OutgoingFile] = []
    ignored, unreadable = 0, dict[Path, str]()

    def unread(path: Path, error: OSError) -> None:
        unreadable[path] = str(error.strerror or type(error).__name__)

    found = [folder] if folder.is_file() else sorted(files_below(folder, unread=unread))
    for path in (p for p in found if p.is_file()):
        try:
            meta = pydicom.filereader.read_file_meta_info(path)
            files.append(OutgoingFile(path, str(meta.MediaStorageSOPClassUID), str(meta.TransferSyntaxUID)))
        except OSError as error:
            unread(path, error)
        except Exception:  # not DICOM: any error at all
            ignored += 1
    return files, ignored, unreadable


def send_files(
    files: Sequence[OutgoingFile], target: Target, *, on_file: Callable[[], None] = lambda: None
) -> SendReport:
    """Send every file, each on a new association when its answer got lost (a repeat is harmless: an instance is stored
    once).

    Raises:
        Misconfigured: nobody answers at the address, or the association is refused; the message names the option.
    """
    report = SendReport()
    for group in _by_contexts(files):
        waiting = list(group)
        tries: dict[Path, int] = {}
        while waiting:
            try:
                with _association(waiting, target) as association:
                    waiting = _send_on(association, waiting, report, tries, on_file)
            except Misconfigured as error:
                if not report.sent:
                    raise
                report.failed.update({file.path: str(error) for file in waiting})  # it went away in the middle
                break
    return report


def _send_on(
    association: Any,
    files: Sequence[OutgoingFile],
    report: SendReport,
    tries: dict[Path, int],
    on_file: Callable[[], None],
) -> list[OutgoingFile]:
    """Send until done or until an answer is missing; returns what is still to be sent."""
    for number, file in enumerate(files):
        why = _send_one(association, file, report)
        if why is None:
            on_file()
            continue
        tries[file.path] = tries.get(file.path, 0) + 1
        rest = list(files[number + 1 :])
        if tries[file.path] < TRIES_PER_FILE:
            return [file, *rest]
        report.failed[file.path] = why
        on_file()
        return rest
    return []


def _send_one(association: Any, file: OutgoingFile, report: SendReport) -> str | None:
    """None: answered (also with a refusal, which is in the report). Otherwise why the association is of no more use."""
    try:
        status = association.send_c_store(file.path)
    except ValueError:
        report.failed[file.path] = f"the receiver does not take {file.sop_class_uid} in {file.transfer_syntax_uid}"
        return None
    except (RuntimeError, OSError) as error:
        return f"the association broke ({type(error).__name__})"
    code = getattr(status, "Status", None)
    if code is None:
        return "no answer"
    if code == dicom_status.SUCCESS:
        report.sent += 1
    elif dicom_status.is_warning(code):
        report.sent += 1
        report.warned += 1
    else:
        report.failed[file.path] = f"refused with status 0x{code:04X}"
    return None


def _by_contexts(files: Sequence[OutgoingFile]) -> Iterator[list[OutgoingFile]]:
    """Groups that need at most as many presentation contexts as one association can carry."""
    kinds = list(dict.fromkeys((file.sop_class_uid, file.transfer_syntax_uid) for file in files))
    remaining = iter(kinds)
    while some := set(islice(remaining, MOST_CONTEXTS)):
        yield [file for file in files if (file.sop_class_uid, file.transfer_syntax_uid) in some]


@contextmanager
def _association(files: Sequence[OutgoingFile], target: Target) -> Iterator[Any]:
    from pynetdicom import AE, _config

    _config.STORE_SEND_CHUNKED_DATASET = True  # from the file as it is, without decoding
    _config.LOG_HANDLER_LEVEL = "none"
    ae = AE(ae_title=target.calling)
    ae.dimse_timeout = RESPONSE_TIMEOUT_S
    ae.connection_timeout = 10.0
    for sop_class_uid, transfer_syntax_uid in dict.fromkeys((f.sop_class_uid, f.transfer_syntax_uid) for f in files):
        ae.add_requested_context(sop_class_uid, transfer_syntax_uid)
    association = ae.associate(target.host, target.port, ae_title=target.called)
    if not association.is_established:
        raise Misconfigured(_why_not(association, target))
    send_without_delay(association)
    try:
        with reactor_paused(association):
            yield association
    finally:
        if association.is_established:
            association.release()


def _why_not(association: Any, target: Target) -> str:
    where = f"{target.host}:{target.port}"
    if association.is_rejected:
        return f"--called/--calling: {where} refuses {target.calling} calling {target.called}"
    if association.acceptor.primitive is not None and not association.accepted_contexts:
        return f"DIR: {where} takes none of the kinds of object found here"
    return f"--host/--port: no DICOM node answers at {where}"


def _reachable(host: str) -> str:
    """A listening address as a target: the wildcard means this machine."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}.get(host, host)  # noqa: S104 - compared, not bound
