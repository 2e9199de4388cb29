"""Where a node keeps what its feeds said. All of it is in the state folder: one host has the interface engines."""

from __future__ import annotations

from pathlib import Path

from workers.feed_settings import Hl7FeedSettings
from workers.feeds.fhir_progress import ProgressFile
from workers.feeds.hl7_readings import NO_SIGNS, ReadingSigns
from workers.feeds.inbox import Inbox
from workers.feeds.infusion_words import InfusionWords
from workers.feeds.orders import KnownOrders
from workers.settings import NodeSettings


def feeds_folder(settings: NodeSettings) -> Path:
    return settings.store.state_dir.absolute() / "feeds"


def open_inbox(settings: NodeSettings) -> Inbox:
    return Inbox(feeds_folder(settings) / "inbox", words_of(settings.feeds.hl7), signs_of(settings))


def open_orders(settings: NodeSettings) -> KnownOrders:
    return KnownOrders(feeds_folder(settings) / "orders.json")


def fhir_progress(settings: NodeSettings) -> ProgressFile:
    return ProgressFile(feeds_folder(settings) / "fhir.json")


def words_of(settings: Hl7FeedSettings) -> InfusionWords:
    return InfusionWords(settings.infusion_codes, settings.infusion_words)


def signs_of(settings: NodeSettings) -> ReadingSigns:
    """What says that a study was read. Reports are only kept where an escalation waits for them: they name patients."""
    if all(one.escalate_after_s is None for one in settings.results.destinations):
        return NO_SIGNS
    hl7 = settings.feeds.hl7
    return ReadingSigns(hl7.read_result_statuses, hl7.read_order_statuses)
