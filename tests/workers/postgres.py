"""A private PostgreSQL cluster on a unix socket in a temporary folder, for tests and for one session."""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

USER = "icansee"
_names = itertools.count()


def programs() -> Path:
    """Folder of the newest installed server.

    Raises:
        RuntimeError: none is installed; a test that needs it must fail, not skip.
    """
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"), key=lambda path: int(path.parent.parent.name))
    if not found:
        raise RuntimeError("no PostgreSQL server: apt-get install -y postgresql")
    return found[-1].parent


@contextmanager
def cluster() -> Iterator[str]:
    """Start a cluster; the socket folder, which is all that an URL needs."""
    bin_dir = programs()
    folder = Path(tempfile.mkdtemp(prefix="icansee-pg-", dir="/tmp"))
    as_user = {}
    if os.getuid() == 0:  # the server refuses to run as root
        account = pwd.getpwnam("postgres")
        os.chown(folder, account.pw_uid, account.pw_gid)
        as_user = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}

    def call(name: str, *arguments: str) -> None:
        subprocess.run([bin_dir / name, *arguments], check=True, cwd=folder, stdout=subprocess.DEVNULL, **as_user)

    data = str(folder / "data")
    try:
        call("initdb", "-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync")
        options = f"-c listen_addresses= -c unix_socket_directories={folder} -c fsync=off -c max_connections=60"
        call("pg_ctl", "-D", data, "-w", "-l", str(folder / "log"), "-o", options, "start")
        try:
            yield str(folder)
        finally:
            call("pg_ctl", "-D", data, "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def new_database(socket_folder: str) -> str:
    """Create an empty database; its URL."""
    import psycopg

    name = f"t{os.getpid()}_{next(_names)}"
    with psycopg.connect(f"host={socket_folder} user={USER} dbname=postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"postgresql+psycopg://{USER}@/{name}?host={socket_folder}"
