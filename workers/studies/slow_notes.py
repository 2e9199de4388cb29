"""Rejection notes that take longer than a glance: how often that was so, kept where a restart does not forget it.

A worker has more time than the beat, and reads the notes of a patient at the beginning of every attempt. So a worker
looks at the study of a slow note once. The beat gives a note up that was slow twice.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from triage.errors import Transient
from workers.files.facts import FactFolder, KeptFact

if TYPE_CHECKING:
    from workers.ports import InstanceRow

KIND = "slow_note"  # of facts
COUNT = "strikes"  # key of the number of slow reads, as files of earlier programs have it
MOST_SLOW_READS = 2  # the first may be the machine's, which was busy


class SlowNotes:
    """See above.

    Args:
        leave: called with the study of a note when it is slow for the first time.
    """

    def __init__(self, facts: FactFolder, leave: Callable[[str], object]) -> None:
        self._facts, self._leave = facts, leave

    def is_given_up(self, row: InstanceRow) -> bool:
        """Raises:
        OSError: what is known of it cannot be read now.
        """
        return self._slow_reads(row) >= MOST_SLOW_READS

    def was_slow(self, row: InstanceRow) -> None:
        """Raises:
        Transient: it cannot be written.
        """
        slow_reads = self._slow_reads(row)
        if not slow_reads:
            self._leave(row.study_instance_uid)  # first: the process may end in between
        try:
            self._facts.put(KeptFact(KIND, (row.sop_instance_uid,), {COUNT: slow_reads + 1}))
        except OSError as error:
            raise Transient(f"facts: the file cannot be written ({error.strerror})") from error

    def _slow_reads(self, row: InstanceRow) -> int:
        kept = self._facts.get(KIND, (row.sop_instance_uid,))
        return 0 if kept is None else int(kept.value.get(COUNT, 0))
