"""Who may read what the node writes: nobody but its own account, unless the site says that its group may."""

from __future__ import annotations

import fcntl
import os
import pwd
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from triage.errors import Misconfigured
from workers.settings import NodeSettings, StoreSettings

OWNER_ONLY, OWNER_AND_GROUP = 0o077, 0o027


def umask_of(store: StoreSettings) -> int:
    """The permissions that new files and folders do not get."""
    return OWNER_AND_GROUP if store.group_readable else OWNER_ONLY


def keep_private(settings: NodeSettings) -> None:
    """Set the umask of this process, which its children inherit, and tighten the folders that are there already.

    A folder of another account is left as it is: its owner decides.
    """
    mask = umask_of(settings.store)
    os.umask(mask)
    for folder in {settings.store.state_dir.absolute(), settings.store.files_dir}:
        with suppress(OSError):
            mode = folder.stat().st_mode & 0o777
            if mode & mask:
                folder.chmod(mode & ~mask)


def refuse_other_account(state_dir: Path, index: Path) -> None:
    """The index belongs to the account of the node. What another account writes beside it, also that of the
    administrator, the node could not read.

    Raises:
        Misconfigured: this is not the account, or it may not read the folder.
    """
    try:
        owner = index.stat().st_uid
        ours = os.geteuid() if owner == os.geteuid() else _owner_of_new_files(state_dir)
    except (FileNotFoundError, NotADirectoryError):
        return
    except OSError as error:
        who = f"{state_dir.absolute()} cannot be used by {_account(os.geteuid())}"
        raise Misconfigured(f"store.state_dir: {who} ({error.strerror})") from error
    if owner != ours:
        raise Misconfigured(
            f"store.state_dir: {state_dir.absolute()} belongs to {_account(owner)}; run this command as that account, "
            f"not as {_account(os.geteuid())}"
        )


def _owner_of_new_files(folder: Path) -> int:
    """Some file systems have one owner for everything."""
    fd, name = tempfile.mkstemp(prefix=".owner.", dir=folder)
    try:
        return os.fstat(fd).st_uid
    finally:
        os.close(fd)
        Path(name).unlink(missing_ok=True)


def _account(number: int) -> str:
    try:
        return f"{pwd.getpwuid(number).pw_name} ({number})"
    except KeyError:
        return f"account {number}"


@contextmanager
def only_one(state_dir: Path, name: str) -> Iterator[None]:
    """Hold ``name``.lock in the state folder. The lock dies with its holder: none is stale after a crash.

    Raises:
        Misconfigured: another process holds it, or the folder cannot be used.
    """
    try:
        state_dir.mkdir(parents=True, exist_ok=True)
        file = (state_dir / f"{name}.lock").open("w")
    except OSError as error:
        raise Misconfigured(f"store.state_dir: {state_dir} cannot be used ({error.strerror})") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Misconfigured(f"store.state_dir: another `icansee {name}` runs on {state_dir.absolute()}") from error
        yield
