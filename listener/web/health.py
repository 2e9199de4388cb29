"""A site in, what is wrong with it out."""

from __future__ import annotations

import shutil
import time
from typing import Any

from listener.web.metrics import sweeper_age_s
from listener.web.site import Site
from triage.errors import IcanseeError
from workers.config import Settings
from workers.feeds.folders import alive_file, feeds_folder, fhir_progress, open_inbox
from workers.log import brief, get_logger

log = get_logger(__name__)

# A study that is due and nobody takes: the workers or the beat are gone.
LONGEST_DUE_S = 300.0
SWEEPER_SILENT_S = 60.0  # it looks twice a second
FEEDS_SILENT_S = 60.0  # they look five times a second; a slow server of theirs may take 20 s


def health_of(site: Site) -> dict[str, Any]:
    """ok only when the index and the broker answer, the disk has space, the sweeper looks, no due study waits for
    longer than five minutes and no study is tried again and again."""
    problems: list[str] = []
    oldest_due_s, waiting, tried_often = 0.0, 0, 0
    try:
        now = site.now()
        due = site.index.due(now=now)
        waiting = len(due)
        oldest_due_s = max(((now - (row.due_at or row.ready_at or now)).total_seconds() for row in due), default=0.0)
        tried_often = site.index.tried_often(site.settings.queue.max_attempts)
    except Exception as error:  # noqa: BLE001, RUF100 - a damaged database too: this page must report it
        log.error("health.index", error=brief(error), exc_info=None if isinstance(error, IcanseeError) else error)
        problems.append("index")
    try:
        site.ping_broker()
    except IcanseeError:
        problems.append("broker")
    free_bytes = _free_bytes(site.settings)
    if free_bytes < site.settings.store.min_free_bytes:
        problems.append("disk")
    if oldest_due_s > LONGEST_DUE_S or tried_often:
        problems.append("queue")
    if (sweeper_age_s(site.settings.store.state_dir) or 0.0) > SWEEPER_SILENT_S:
        problems.append("sweeper")
    feeds = feeds_of(site.settings)
    if feeds["failed"] or feeds["silent"]:
        problems.append("feeds")
    return {
        "ok": not problems,
        "problems": problems,
        "free_bytes": free_bytes,
        "oldest_due_s": round(oldest_due_s, 1),
        "due": waiting,
        "tried_often": tried_often,
        "feeds": feeds,
    }


def feeds_of(settings: Settings) -> dict[str, Any]:
    """What the feeds of clinical systems have not applied. silent: their process gives no sign of life."""
    if not settings.feeds.wanted:
        return {"waiting": 0, "failed": 0, "silent": False}
    waiting, failed = open_inbox(settings).waiting() if feeds_folder(settings).exists() else (0, 0)
    failed += len(fhir_progress(settings).read().failed)
    try:
        silent_s = time.time() - alive_file(settings).stat().st_mtime
    except OSError:
        silent_s = float("inf")
    return {"waiting": waiting, "failed": failed, "silent": silent_s > FEEDS_SILENT_S}


def _free_bytes(settings: Settings) -> int:
    try:
        return shutil.disk_usage(settings.store.files_dir).free
    except OSError:
        return 0
