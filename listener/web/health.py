"""A site in, what is wrong with it out."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from listener.node.processes import ProcessVerdict, look_at_processes
from listener.node.supervisor import names_of
from listener.web.site import Site
from triage.errors import IcanseeError, Transient
from workers.config import Settings
from workers.deliveries.other_nodes import delivery_owner, served_elsewhere
from workers.delivery_ports import OPEN
from workers.feeds.folders import feeds_folder, fhir_progress, open_inbox
from workers.heartbeat import heartbeat_file
from workers.index.damage import kept_aside
from workers.index.following import sqlite_path
from workers.index.rebuilding import is_rebuilding, last_rebuilt
from workers.log import brief, get_logger

log = get_logger(__name__)

# A study that is due and nobody takes: the workers or the beat are gone.
LONGEST_DUE_S = 300.0
STORE = "store"
FOLDERS = (STORE, "conflicts", "results", "facts")  # beside the images
FEWEST_NAMES = 1000  # files that the disk still takes (free inodes): less than one study with its results
NOTED_FOR = timedelta(days=7)  # a sentence about an index that was lost: what only it knew may be missed later
FEEDS = "feeds"  # the process whose problem has other causes as well


def health_of(site: Site) -> dict[str, Any]:
    """ok only when the index and the broker answer, the disk has space, every process gives signs of life and does not
    end again and again, no due study waits for longer than five minutes and no study is tried again and again."""
    problems: list[str] = []
    oldest_due_s, waiting, tried_often = 0.0, 0, 0
    try:
        now = site.now()
        due = site.index.due(now=now)
        waiting = len(due)
        waits = [(now - (row.due_at or row.ready_at or now)).total_seconds() for row in due]
        oldest_due_s = max([0.0, *waits])  # below zero: the clock was set back
        tried_often = site.index.tried_often(site.settings.queue.max_attempts)
    except Exception as error:  # noqa: BLE001, RUF100 - a damaged database too: this page must report it
        log.error("health.index", error=brief(error), exc_info=None if isinstance(error, IcanseeError) else error)
        problems.append("index")
    try:
        site.ping_broker()
    except IcanseeError:
        problems.append("broker")
    free_bytes, unreadable = _free_bytes(site.settings), unreadable_folders(site.settings)
    if free_bytes < site.settings.store.min_free_bytes or unreadable or not _has_names_left(site.settings):
        problems.append("disk")
    if oldest_due_s > LONGEST_DUE_S or tried_often:
        problems.append("queue")
    rebuilding = is_rebuilding(site.settings.store.files_dir)
    if rebuilding and "index" not in problems:
        problems.insert(0, "index")
    processes = processes_of(site.settings)
    feeds = feeds_of(site.settings, processes)
    problems += [name for name in ailing(processes) if name != FEEDS]
    if feeds["failed"] or feeds["silent"] or feeds["unreadable"]:
        problems.append("feeds")
    ways_out, ailing_ways = deliveries_of(site)
    if ailing_ways:
        problems.append("deliveries")
    if nobody_can_sign_in(site):
        problems.append("accounts")
    return {
        "ok": not problems,
        "problems": problems,
        "free_bytes": free_bytes,
        "unreadable": unreadable,
        "oldest_due_s": round(oldest_due_s, 1),
        "due": waiting,
        "tried_often": tried_often,
        "feeds": feeds,
        "deliveries": ways_out,
        "processes": processes,
        "index_note": index_note(site.settings, rebuilding=rebuilding),
    }


def nobody_can_sign_in(site: Site) -> bool:
    """Other machines reach the page, and there is no account: it stays closed."""
    web = site.settings.web
    if not web.beyond_loopback or web.provider is not None or site.accounts is None:
        return False
    try:
        return not site.accounts.any_account()
    except Transient:
        return False  # the index is a problem of its own


def deliveries_of(site: Site) -> tuple[dict[str, dict[str, Any]], bool]:
    """Destination -> {"waiting", "dead", "held", "unplanned", "oldest_s", "paused", "removed"}, and whether a human
    should look: something is dead, waits for longer than five minutes, for its plan too (also images), or is for a
    destination that nobody serves: the settings have it no more, and no other node with this index does.

    What was left for a node that is away is such a thing; what was left for a destination that this node itself had is
    not: whoever took it out of the settings has decided.
    """
    if site.deliveries is None:
        return {}, False
    try:
        tallies, oldest, now = site.deliveries.tallies(ended=False), site.deliveries.oldest_open(), site.now()
        known = {one.name: one for one in site.deliveries.all_known()}
        no_plan = _without_plan(site)
    except Exception as error:  # noqa: BLE001, RUF100 - a damaged database too: this page must report it
        log.error("health.deliveries", error=brief(error))
        return {}, True
    owner, alone = delivery_owner(site.settings.store), sqlite_path(site.settings.index_url) is not None
    configured = [one.name for one in site.settings.results.destinations]
    served = served_elsewhere(known.values(), configured, owner, now)
    open_states = [state.value for state in OPEN]
    removed = sorted({name for (name, state), number in tallies.items() if number and state in open_states})
    found: dict[str, dict[str, Any]] = {}
    lost = False
    for name in dict.fromkeys([*configured, *removed]):
        paused = known[name].paused_until if name in known else None
        found[name] = {
            "waiting": sum(tallies.get((name, state), 0) for state in ("planned", "sending")),
            "dead": tallies.get((name, "dead"), 0),
            "held": tallies.get((name, "held"), 0),
            "unplanned": tallies.get((name, "unplanned"), 0),
            "oldest_s": round((now - oldest[name]).total_seconds(), 1) if name in oldest else 0.0,
            "paused": paused is not None and paused > now,
            "removed": name not in configured and name not in served,
        }
        others = not alone and (name not in known or known[name].owner != owner)
        kinds = ("waiting", "held", "unplanned") if others else ("waiting", "held")
        lost = lost or (found[name]["removed"] and any(found[name][kind] for kind in kinds))
    late = any((now - one).total_seconds() > LONGEST_DUE_S for one in no_plan)
    ailing_ways = any(one["dead"] or one["oldest_s"] > LONGEST_DUE_S for one in found.values())
    return found, lost or late or ailing_ways


def _without_plan(site: Site) -> list[datetime]:
    """Since when the oldest decision and the oldest images have no plan."""
    if site.deliveries is None or not site.settings.results.destinations:
        return []
    images = None if site.images is None else site.images.oldest_without_plan()
    found = [one.created_at for one in site.deliveries.unplanned(limit=1)]
    return found if images is None else [*found, images]


def index_note(settings: Settings, *, rebuilding: bool) -> str | None:
    """A sentence about an index that was lost or damaged; None: nothing happened to it."""
    path = sqlite_path(settings.index_url)
    aside = kept_aside(path)[-1:] if path is not None else []
    kept = "".join(f" The damaged one is kept as {one.name}." for one in aside)
    if rebuilding:
        return "The index is being built again from the stored files; no study is decided until then." + kept
    last = last_rebuilt(settings.store.files_dir)
    if last is None:
        return "The index was damaged and was built again from the stored files." + kept if aside else None
    why, at = last
    if datetime.now(UTC) - at > NOTED_FOR and not aside:
        return None
    return f"The index {why} and was built again from the stored files on {at:%Y-%m-%d at %H:%M} UTC." + kept


def processes_of(settings: Settings) -> dict[str, dict[str, Any]]:
    """Name -> {"state", "silence_s", "starts"} of each process that should work here."""
    all_here = settings.store.shared_dir is None
    found = look_at_processes(settings.store.state_dir, names_of(settings), all_here=all_here)
    return {
        name: {
            "state": one.verdict.value,
            "silence_s": None if one.silence_s is None else round(one.silence_s, 1),
            "starts": one.starts,
        }
        for name, one in found.items()
    }


def ailing(processes: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """The names of those that do not work."""
    return [name for name, one in processes.items() if one["state"] != ProcessVerdict.WORKS]


def feeds_of(settings: Settings, processes: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """What the feeds of clinical systems have not applied. silent: their process gives no sign of life. unreadable:
    their folder cannot be read now, so that nobody knows the numbers."""
    found = {"waiting": 0, "failed": 0, "silent": False, "unreadable": False}
    if not settings.feeds.wanted:
        return found
    found["silent"] = FEEDS in ailing(processes)
    try:
        waiting, failed = open_inbox(settings).waiting() if feeds_folder(settings).exists() else (0, 0)
        failed += len(fhir_progress(settings).read().failed)
    except OSError as error:
        log.error("health.feeds", error=brief(error))
        return {**found, "unreadable": True}
    return {**found, "waiting": waiting, "failed": failed}


def unreadable_folders(settings: Settings) -> list[str]:
    """Which folders of the node cannot be read now: what lies in them is not there for anybody. Their names within the
    folder of the images, or the settings that name them."""
    state, files = settings.store.state_dir.absolute(), settings.store.files_dir
    folders = {"store.state_dir": state, "store.shared_dir": files} if files != state else {"store.state_dir": state}
    folders |= {name: files / name for name in FOLDERS} | {"commitments": state / "commitments"}
    works = heartbeat_file(state, "listener")
    found = []
    for name, folder in folders.items():
        try:
            with os.scandir(folder):
                pass
        except FileNotFoundError:
            if name == "store.state_dir" or (name == STORE and works.exists()):  # the listener makes it at its start
                found.append(name)
        except OSError:
            found.append(name)
    return found


def _has_names_left(settings: Settings) -> bool:
    """A disk full of small files has bytes left and takes no file. Some file systems do not count (0 of 0)."""
    try:
        room = os.statvfs(settings.store.files_dir)
    except OSError:
        return False
    return room.f_files == 0 or room.f_favail >= FEWEST_NAMES


def _free_bytes(settings: Settings) -> int:
    try:
        return shutil.disk_usage(settings.store.files_dir).free
    except OSError:
        return 0
