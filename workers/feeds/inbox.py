"""HL7 messages in a folder: durable before they are acknowledged, applied in the order of their arrival, each once.

inbox/new/<time>-<digest>.hl7     acknowledged, not yet applied
inbox/applied/<digest>.hl7        applied; kept for ``KEEP_DAYS``, so that a message sent twice is known
inbox/applied/<digest>.dismissed.hl7  given up by a person, who has done what it says; kept as long
inbox/failed/<time>-<digest>.hl7  could not be applied; a human looks at it, ``icansee feeds retry`` tries again

The time is that of arrival. It grows with each message, also when the clock is set back: a cancellation must not go
ahead of its order. An applied message has it as the time of its file: a message that was set aside and is tried again
says nothing against those that came after it.
"""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from triage.errors import Transient
from workers.feeds.facts import Fact, NeedsPerson, NothingToDo
from workers.feeds.hl7_fields import Header, MalformedMessageError
from workers.feeds.hl7_messages import facts_of, parse
from workers.feeds.hl7_readings import NO_SIGNS, ReadingSigns
from workers.feeds.infusion_words import InfusionWords
from workers.feeds.superseded import still_said
from workers.listing import files_in
from workers.log import brief, get_logger

log = get_logger(__name__)

KEEP_DAYS = 30
SUFFIX = ".hl7"
DISMISSED = f".dismissed{SUFFIX}"  # of an applied message: a person has done what it says
READ_TRIES = 5  # of one file; with the pauses of the loop the last one comes half a minute after the first

Apply = Callable[[tuple[Fact, ...], str], None]
"""Apply what one message states; the second argument names its source.

Applying twice does no harm. May raise Transient.
"""


class LaterUnreadableError(Exception):
    """Whether a late message still holds is not known."""

    def __init__(self) -> None:
        super().__init__("a message that came after it cannot be read")


class Inbox:
    """The folder of one node."""

    def __init__(self, folder: Path, words: InfusionWords, signs: ReadingSigns = NO_SIGNS) -> None:
        self._new, self._applied, self._failed = folder / "new", folder / "applied", folder / "failed"
        self._words, self._signs = words, signs
        self._newest: int | None = None
        self._newest_applied: int | None = None
        self._unread: Counter[str] = Counter()
        self._naming = threading.Lock()  # messages come over several connections
        for each in (self._new, self._applied, self._failed):
            each.mkdir(parents=True, exist_ok=True, mode=0o700)

    def take(self, raw: bytes) -> tuple[Header, str]:
        """Store one message; its header and what becomes of it.

        Raises:
            MalformedMessageError: it is not stored.
            OSError: it cannot be stored now.
        """
        header, message = parse(raw)
        try:
            facts = facts_of(header, message, self._words, self._signs)
        except MalformedMessageError as error:
            raise MalformedMessageError(str(error), header) from None
        useful = [fact for fact in facts if not isinstance(fact, NothingToDo)]
        if not useful:
            return header, "; ".join(fact.why for fact in facts if isinstance(fact, NothingToDo))
        unclear = [fact.why for fact in useful if isinstance(fact, NeedsPerson)]
        digest = hashlib.sha256(raw).hexdigest()
        if not any((self._applied / f"{digest}{ending}").exists() for ending in (SUFFIX, DISMISSED)):
            self._store(raw, digest)
        return header, "; ".join(["stored", *(f"a person must judge it: {one}" for one in dict.fromkeys(unclear))])

    def _store(self, raw: bytes, digest: str) -> None:
        """The file is whole and on the disk when this returns."""
        place = self._new / _name(self._next(), digest)
        temporary = place.with_suffix(".tmp")
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(raw)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(place)
        folder = os.open(self._new, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def _next(self) -> int:
        """Now, or just after the newest message."""
        with self._naming:
            if self._newest is None:
                self._newest = max(map(_newest_in, (self._new, self._failed, self._applied)))
            self._newest = max(self._newest + 1, time.time_ns())
            return self._newest

    def _set_aside(self, path: Path) -> None:
        """A message that was sent again stands there once."""
        for before in files_in(self._failed, ending=f"{_digest_of(path)}{SUFFIX}"):
            before.unlink(missing_ok=True)
        path.replace(self._failed / path.name)

    def apply_waiting(self, apply: Apply) -> int:
        """Apply what waits, the oldest first; how many were applied. A message that cannot be applied is set aside: its
        content, or its own file, is the cause.

        Raises:
            Transient: the index is away; what waits stays.
            OSError: the disk is full or fails; what waits stays.
        """
        done = 0
        for path in files_in(self._new, ending=SUFFIX):
            digest = _digest_of(path)
            raw = self._read(path)
            if raw is None:
                continue
            try:
                header, facts = self._said(raw)
                later = self._later(path)
                apply(still_said(facts, later) if later else facts, f"HL7 {header.message_type}^{header.event}")
            except (Transient, OSError):
                raise
            except Exception as error:  # one message must not hold up those behind it
                log.error("hl7.not_applied", message=digest[:12], error=brief(error))
                self._set_aside(path)
                continue
            self._keep(path, SUFFIX)
            done += 1
        return done

    def _said(self, raw: bytes) -> tuple[Header, tuple[Fact, ...]]:
        header, message = parse(raw)
        return header, facts_of(header, message, self._words, self._signs)

    def _later(self, path: Path) -> list[Fact]:
        """What messages that came after this one said when they were applied. Most messages are the newest.

        Raises:
            LaterUnreadableError: one of them cannot be read.
        """
        if self._newest_applied is None:
            self._newest_applied = _newest_in(self._applied)
        if _time_of(path) >= self._newest_applied:
            return []
        applied = [one for one in files_in(self._applied, ending=SUFFIX) if not one.name.endswith(DISMISSED)]
        after = sorted((_time_of(one), one) for one in applied if _time_of(one) > _time_of(path))
        try:
            return [fact for _, one in after for fact in self._said(one.read_bytes())[1]]
        except OSError as error:  # the messages behind it must not wait for this one
            raise LaterUnreadableError from error

    def _keep(self, path: Path, ending: str) -> None:
        """Among the applied ones, with its time of arrival."""
        arrived = _time_of(path)
        if self._newest_applied is not None:
            self._newest_applied = max(self._newest_applied, arrived)
        os.utime(path, ns=(arrived, arrived))
        path.replace(self._applied / f"{_digest_of(path)}{ending}")

    def _read(self, path: Path) -> bytes | None:
        """A file that stays unreadable is set aside, unread: the messages behind it must not wait without end."""
        try:
            raw = path.read_bytes()
        except OSError as error:
            self._unread[path.name] += 1
            if self._unread[path.name] < READ_TRIES:
                raise
            log.error("hl7.not_readable", message=_digest_of(path)[:12], error=brief(error))
            self._set_aside(path)
            return None
        del self._unread[path.name]
        return raw

    def waiting(self) -> tuple[int, int]:
        """How many messages wait, and how many were set aside. Raises OSError: a folder cannot be read now."""
        return len(files_in(self._new, ending=SUFFIX)), len(files_in(self._failed, ending=SUFFIX))

    def retry_failed(self) -> int:
        """Have the messages that were set aside applied again, in the order of their arrival; how many."""
        failed = files_in(self._failed, ending=SUFFIX)
        for path in failed:
            path.replace(self._new / _name(_time_of(path), _digest_of(path)))
        return len(failed)

    def dismiss_failed(self) -> int:
        """Count the messages that were set aside as applied: a human has done what they say; how many."""
        failed = files_in(self._failed, ending=SUFFIX)
        for path in failed:
            self._keep(path, DISMISSED)
        return len(failed)

    def forget_old(self, *, now_s: float) -> None:
        """Delete applied messages older than KEEP_DAYS: they name patients. Those that came after a message that is set
        aside stay: without them it would be taken for the last word."""
        aside = min(map(_time_of, files_in(self._failed, ending=SUFFIX)), default=None)
        for path in files_in(self._applied, ending=SUFFIX):
            is_old = now_s - path.stat().st_mtime > KEEP_DAYS * 86400
            if is_old and (aside is None or _time_of(path) < aside):
                path.unlink(missing_ok=True)


def _name(time_ns: int, digest: str) -> str:
    return f"{time_ns:020d}-{digest}{SUFFIX}"


def _digest_of(path: Path) -> str:
    return path.stem.rsplit("-", 1)[-1]


def _newest_in(folder: Path) -> int:
    return max(map(_time_of, files_in(folder, ending=SUFFIX)), default=0)


def _time_of(path: Path) -> int:
    """Of arrival; a program before this one set messages aside without it."""
    written = path.stem.split("-", 1)[0]
    return int(written) if "-" in path.stem and written.isdigit() else path.stat().st_mtime_ns
