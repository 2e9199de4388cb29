"""What files say whose objects the index knows in, rows that say the same out.

A file is replaced when its content was lost or cut short and its object is sent again. Until then the row says what the
lost one said: size, sender, transfer syntax, and all of its head.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from workers.index.notices import forget_instances
from workers.index.schema import AT_ONCE, instances
from workers.ports import InstanceRow

_OF_FILE = tuple(field.name for field in fields(InstanceRow) if field.name not in ("path", "received_at"))
_NO_PART_IN_DECISIONS = {"calling_ae", "patient_name"}
_COLUMNS = [instances.c[field.name] for field in fields(InstanceRow)]


class Renewed:
    """What became of the rows of replaced files.

    moved: objects that belong to another study or series now; their rows are gone and to be inserted. left: study UIDs
    that they left, with the time of it. changed: rows that were renewed and on which a decision may rest.
    """

    def __init__(self) -> None:
        self.moved: list[InstanceRow] = []
        self.left: dict[str, datetime] = {}
        self.changed: list[InstanceRow] = []


def renew(connection: Connection, rows: Sequence[InstanceRow]) -> Renewed:
    """Make the rows of known objects say what their files say."""
    found = Renewed()
    for old, row in _differing(connection, rows):
        if (old.study_instance_uid, old.series_instance_uid) != (row.study_instance_uid, row.series_instance_uid):
            forget_instances(connection, old.study_instance_uid, [old.sop_instance_uid])
            found.moved.append(row)
            found.left[old.study_instance_uid] = row.received_at
            continue
        of_object = instances.c.sop_instance_uid == row.sop_instance_uid
        connection.execute(instances.update().where(of_object).values(**vars(row)))
        if any(getattr(old, name) != getattr(row, name) for name in _OF_FILE if name not in _NO_PART_IN_DECISIONS):
            found.changed.append(row)
    return found


def _differing(connection: Connection, rows: Sequence[InstanceRow]) -> list[tuple[InstanceRow, InstanceRow]]:
    """(what the index says, what the file says)."""
    given = {row.sop_instance_uid: row for row in rows}
    uids = sorted(given)
    found = []
    for first in range(0, len(uids), AT_ONCE):
        some = instances.c.sop_instance_uid.in_(uids[first : first + AT_ONCE])
        said = connection.execute(sa.select(*_COLUMNS).where(some).order_by(instances.c.sop_instance_uid)).mappings()
        known = [InstanceRow(**one) for one in said]
        found += [(old, given[old.sop_instance_uid]) for old in known]
    return [(old, row) for old, row in found if any(getattr(old, n) != getattr(row, n) for n in _OF_FILE)]
