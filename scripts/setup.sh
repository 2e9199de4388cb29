#!/usr/bin/env bash
# Nothing but Python 3.11 in, the environment of uv.lock out (.venv). uv itself goes into .venv-bootstrap, not into the
# user's or the system's packages. Quick when there is nothing to do. downloads.sh says which variables it honours.
set -euo pipefail
cd "$(dirname "$0")/.."

bootstrap=.venv-bootstrap
. scripts/downloads.sh

suits() { "$1" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))' >/dev/null 2>&1; }

find_python() {
    local name
    for name in "${PYTHON_FOR_VENV:-}" python3.11 python3.12 python3 /usr/bin/python3.11 /usr/bin/python3; do
        if [ -n "$name" ] && command -v "$name" >/dev/null && suits "$name"; then
            # the interpreter itself, not a shim that may choose another one later
            "$name" -c 'import sys; print(sys.executable)'
            return
        fi
    done
    return 1
}

install_apt() {
    command -v apt-get >/dev/null || return 1
    as_root apt-get update -qq || say "apt-get update failed; trying with what is known"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >&2
}

if ! python=$(find_python); then
    say "no Python 3.11 or 3.12 found: installing it"
    install_apt python3.11 python3.11-venv || true
    python=$(find_python) || { say "Python 3.11 or 3.12 is needed; put one on PATH or name it in PYTHON_FOR_VENV"; exit 1; }
fi

if [ ! -x "$bootstrap/bin/python" ] || ! "$bootstrap/bin/python" -m pip --version >/dev/null 2>&1; then
    rm -rf "$bootstrap"
    if ! "$python" -m venv "$bootstrap" >/dev/null 2>&1; then
        # Debian keeps ensurepip in a package of its own
        rm -rf "$bootstrap"
        version=$("$python" -c 'import sys; print("python%d.%d" % sys.version_info[:2])')
        install_apt "$version-venv" || { say "$version-venv is needed: apt-get install $version-venv"; exit 1; }
        "$python" -m venv "$bootstrap"
    fi
fi

use_site_certificates "$bootstrap/bin/python"
use_site_index "$bootstrap/bin/python"

if [[ "$("$bootstrap/bin/uv" --version 2>/dev/null)" != "uv $UV_VERSION"* ]]; then
    say "installing uv $UV_VERSION into $bootstrap (with $python)"
    install_uv "$bootstrap/bin/python"
fi

say "environment of uv.lock -> .venv"
export UV_PYTHON_DOWNLOADS=never UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-300}" UV_NO_PROGRESS="${UV_NO_PROGRESS:-1}"
# Compiled once. Where Python may write no bytecode, each process compiled each of its libraries anew: half of a start.
export UV_COMPILE_BYTECODE="${UV_COMPILE_BYTECODE:-1}" UV_COMPILE_BYTECODE_TIMEOUT="${UV_COMPILE_BYTECODE_TIMEOUT:-0}"
sync_environment "$bootstrap/bin/uv" "$python"
