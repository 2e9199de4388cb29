"""Set-up behind a proxy that inspects TLS: a private CA, a package index over TLS on loopback, real pip and real uv."""

from __future__ import annotations

import base64
import functools
import hashlib
import http.server
import os
import re
import ssl
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.patience import PATIENCE_S

ROOT = Path(__file__).parents[2]
UV = ROOT / ".venv-bootstrap" / "bin" / "uv"
DOWNLOADS = ROOT / "scripts" / "downloads.sh"
UV_VERSION = re.findall(r"^UV_VERSION=(\S+)$", DOWNLOADS.read_text(encoding="utf-8"), re.MULTILINE)[0]
# what the machine itself says about proxies, certificates and indices
OWN = re.compile(r"^(PIP_|UV_|SSL_CERT|REQUESTS_CA_BUNDLE|CURL_CA_BUNDLE|(HTTPS?|NO|ALL)_PROXY)", re.IGNORECASE)


@dataclass(frozen=True)
class Index:
    """A package index over TLS. ca: PEM of the authority that signed its certificate."""

    url: str
    ca: Path

    def trusted(self, variable: str) -> dict[str, str]:
        """The environment that says so."""
        return {variable: str(self.ca.parent / "trusted" if variable == "SSL_CERT_DIR" else self.ca)}


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Index]:
    folder = tmp_path_factory.mktemp("index")
    key, certificate, ca = a_certificate(folder)
    for name, version in (("uv", UV_VERSION), ("tiny", "1.0")):
        (folder / "simple" / name).mkdir(parents=True)
        wheel = a_wheel(folder / "simple" / name, name, version)
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        link = f'<a href="{wheel.name}#sha256={digest}">{wheel.name}</a>'
        (folder / "simple" / name / "index.html").write_text(f"<!DOCTYPE html><html><body>{link}</body></html>")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=str(folder)))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield Index(f"https://127.0.0.1:{server.server_port}/simple/", ca)
    server.shutdown()
    server.server_close()


def a_certificate(folder: Path) -> tuple[Path, Path, Path]:
    """(key, certificate, CA certificate) for 127.0.0.1, by openssl."""

    def openssl(*arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=folder, capture_output=True, check=True)

    new_key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    authority = ("-addext", "basicConstraints=critical,CA:TRUE", "-addext", "keyUsage=critical,keyCertSign")
    openssl(
        "req",
        "-x509",
        *new_key,
        "-keyout",
        "ca.key",
        "-out",
        "ca.pem",
        "-days",
        "30",
        "-subj",
        "/CN=site CA",
        *authority,
    )
    openssl("req", *new_key, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=127.0.0.1")
    (folder / "names").write_text(
        "basicConstraints=CA:FALSE\nsubjectAltName=IP:127.0.0.1\n"
        "extendedKeyUsage=serverAuth\nauthorityKeyIdentifier=keyid\n"
    )
    signing = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", "30", "-extfile", "names")
    openssl("x509", "-req", "-in", "server.csr", "-out", "server.pem", *signing)
    (folder / "trusted").mkdir()
    (folder / "trusted" / "ca.pem").write_bytes((folder / "ca.pem").read_bytes())
    openssl("rehash", "trusted")
    return folder / "server.key", folder / "server.pem", folder / "ca.pem"


def a_wheel(folder: Path, name: str, version: str) -> Path:
    """The smallest wheel: one module."""
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    files = {
        f"{name}_of_the_index.py": f"VERSION = {version!r}\n",
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    digests = {file: base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()) for file, text in files.items()}
    record = [f"{file},sha256={digest.rstrip(b'=').decode()},{len(files[file])}" for file, digest in digests.items()]
    with zipfile.ZipFile(path, "w") as wheel:
        for file, text in {**files, f"{info}/RECORD": "\n".join([*record, f"{info}/RECORD,,"]) + "\n"}.items():
            wheel.writestr(file, text)
    return path


def run(script: str, cwd: Path, *arguments: Path | str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A script that knows the functions of downloads.sh, without what this machine says about downloads."""
    environment = {name: value for name, value in os.environ.items() if not OWN.match(name)}
    environment |= {"PIP_CONFIG_FILE": os.devnull, "PIP_RETRIES": "0", "UV_NO_CONFIG": "1", "UV_HTTP_RETRIES": "0"}
    environment |= {"UV_CACHE_DIR": str(cwd / "cache"), "UV_PYTHON_DOWNLOADS": "never"} | variables
    command = ["bash", "-c", f'set -euo pipefail\n. "{DOWNLOADS}"\n{script}', "setup", *map(str, arguments)]
    return subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE_S
    )


@pytest.fixture(scope="module")
def empty_venv(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bootstrap")
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    return folder / "bin" / "python"


INSTALL_UV = 'use_site_certificates "$1"; use_site_index "$1"; install_uv "$1"'
TRUSTED = pytest.mark.parametrize(
    "variable", ["SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT"]
)


@TRUSTED
@pytest.mark.parametrize("index_variable", ["PIP_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL"])
def test_uv_comes_from_the_index_of_the_site(
    empty_venv: Path, index: Index, tmp_path: Path, variable: str, index_variable: str
) -> None:
    done = run(INSTALL_UV, tmp_path, empty_venv, **index.trusted(variable), **{index_variable: index.url})
    assert done.returncode == 0, done.stderr
    found = subprocess.run(
        [empty_venv, "-c", "import uv_of_the_index as uv; print(uv.VERSION)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert found.stdout.strip() == UV_VERSION
    subprocess.run([empty_venv, "-m", "pip", "uninstall", "-q", "-y", "uv"], check=True)


@pytest.mark.parametrize(
    ("variables", "remedy"),
    [
        pytest.param({}, "set SSL_CERT_FILE to", id="a CA nobody knows"),
        pytest.param({"PIP_INDEX_URL": "https://127.0.0.1:1/simple/"}, "set HTTPS_PROXY to", id="nobody answers"),
    ],
)
def test_a_download_that_fails_says_what_to_set(
    empty_venv: Path, index: Index, tmp_path: Path, variables: dict[str, str], remedy: str
) -> None:
    done = run(INSTALL_UV, tmp_path, empty_venv, **{"PIP_INDEX_URL": index.url, **variables})
    assert done.returncode != 0
    said = [line for line in done.stderr.splitlines() if line.startswith("setup: ")]
    assert len(said) == 1, done.stderr
    assert remedy in said[0]


# --- the environment of the lock file


@pytest.fixture
def project(tmp_path: Path, index: Index) -> Path:
    """A project whose lock file names the index."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "pyproject.toml").write_text(
        '[project]\nname = "example"\nversion = "1"\nrequires-python = ">=3.11"\ndependencies = ["tiny"]\n'
    )
    locked = run('"$1" lock --quiet', folder, UV, UV_DEFAULT_INDEX=index.url, SSL_CERT_FILE=str(index.ca))
    assert locked.returncode == 0, locked.stderr
    return folder


SYNC = 'use_site_certificates "$2"; use_site_index "$2"; sync_environment "$1" "$2"'


def has_tiny(project: Path) -> bool:
    python = project / ".venv" / "bin" / "python"
    return python.exists() and subprocess.run([python, "-c", "import tiny_of_the_index"], check=False).returncode == 0


@TRUSTED
def test_the_environment_behind_a_proxy_that_inspects_tls(project: Path, index: Index, variable: str) -> None:
    done = run(SYNC, project, UV, sys.executable, UV_CACHE_DIR=str(project / "new"), **index.trusted(variable))
    assert done.returncode == 0, done.stderr
    assert has_tiny(project)


def test_the_environment_with_a_certificate_nobody_knows(project: Path, index: Index) -> None:
    done = run(SYNC, project, UV, sys.executable, UV_CACHE_DIR=str(project / "new"))
    assert done.returncode != 0
    assert not has_tiny(project)
    assert "set SSL_CERT_FILE to" in done.stderr.splitlines()[-1]


def test_the_environment_from_another_index_than_the_locked_one(project: Path, index: Index) -> None:
    lock = project / "uv.lock"
    lock.write_text(lock.read_text().replace("https://127.0.0.1:", "https://public.invalid:"))
    variables = {"SSL_CERT_FILE": str(index.ca), "PIP_INDEX_URL": index.url, "UV_CACHE_DIR": str(project / "new")}
    done = run(SYNC, project, UV, sys.executable, **variables)
    assert done.returncode == 0, done.stderr
    assert has_tiny(project)


def test_a_file_that_is_not_the_locked_one_is_refused(project: Path, index: Index) -> None:
    lock = project / "uv.lock"
    lock.write_text(re.sub(r"sha256:[0-9a-f]{64}", f"sha256:{'0' * 64}", lock.read_text()))
    variables = {"SSL_CERT_FILE": str(index.ca), "PIP_INDEX_URL": index.url, "UV_CACHE_DIR": str(project / "new")}
    assert run(SYNC, project, UV, sys.executable, **variables).returncode != 0
    assert not has_tiny(project)


# --- what is not downloaded


@pytest.mark.parametrize(
    ("variables", "seen"),
    [
        pytest.param({}, [], id="noop: no proxy"),
        pytest.param({"http_proxy": "http://proxy:3128"}, ["http_proxy=http://proxy:3128"], id="as apt reads it"),
        pytest.param(
            {"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "local"},
            ["https_proxy=http://proxy:3128", "no_proxy=local"],
            id="capitals",
        ),
    ],
)
def test_apt_gets_the_proxy_through_sudo(tmp_path: Path, variables: dict[str, str], seen: list[str]) -> None:
    for name, text in (("id", "echo 1000"), ("sudo", 'exec env -i PATH="$PATH" "$@"')):
        (tmp_path / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / name).chmod(0o755)
    done = run("as_root env", tmp_path, PATH=f"{tmp_path}:{os.environ['PATH']}", **variables)
    assert sorted(line for line in done.stdout.splitlines() if "proxy=" in line) == seen


def test_the_image_has_the_same_uv() -> None:
    pinned = (ROOT / "scripts" / "uv.txt").read_text(encoding="utf-8")
    assert re.findall(r"^uv==(\S+)", pinned, re.MULTILINE) == [UV_VERSION]
