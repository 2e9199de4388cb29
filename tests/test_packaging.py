"""What is shipped: wheel, image, compose file, Makefile.

The image itself is not built here (that needs a Docker engine).
"""

from __future__ import annotations

import fnmatch
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from listener.node.supervisor import COMMANDS, STOP_GRACE_S, names_of
from workers import config
from workers.heartbeat import heartbeat_file

PINNED = re.compile(r"[a-z]+:[\w.-]+@sha256:[0-9a-f]{64}")  # the tag is for people, the digest counts
ROOT = Path(__file__).parent.parent
PACKAGES = ("triage", "workers", "listener", "atlas", "simulation")
CHORES = ("demo", "serve", "test", "lint", "types", "check", "bench", "nightly", "image", "docs")
# what the supervisor may start, each with its command
PROCESSES = {name: ["icansee", *COMMANDS.get(name, (name,))] for name in STOP_GRACE_S}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Built from the tree by the build backend itself, without the network."""
    folder = tmp_path_factory.mktemp("wheel")
    build = f"from hatchling.build import build_wheel; print(build_wheel({str(folder)!r}))"
    done = subprocess.run([sys.executable, "-c", build], cwd=ROOT, capture_output=True, text=True, check=True)
    return zipfile.ZipFile(folder / done.stdout.split()[-1])


@pytest.fixture(scope="module")
def unpacked(wheel: zipfile.ZipFile, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("installed")
    wheel.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    return loaded


def commands_of_the_program() -> set[str]:
    import typer

    from listener.commands.main import app

    return set(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def test_the_wheel_holds_the_rooms_and_nothing_else(wheel: zipfile.ZipFile) -> None:
    top = {name.split("/")[0] for name in wheel.namelist()}
    assert {name for name in top if not name.endswith(".dist-info")} == set(PACKAGES)


def test_the_wheel_holds_the_atlas(wheel: zipfile.ZipFile) -> None:
    committed = {path.name for path in (ROOT / "atlas" / "data").iterdir()}
    assert {Path(name).name for name in wheel.namelist() if name.startswith("atlas/data/")} == committed


def test_the_wheel_holds_the_revisions_of_the_index(wheel: zipfile.ZipFile) -> None:
    folder = "workers/index/versions"
    committed = {path.name for path in (ROOT / folder).glob("*.py")}
    assert {Path(name).name for name in wheel.namelist() if name.startswith(f"{folder}/")} == committed
    assert "r0001_baseline.py" in committed


def test_the_wheel_holds_what_the_pages_are_made_from(wheel: zipfile.ZipFile) -> None:
    for folder, suffixes in (("templates", {".html"}), ("static", {".css", ".js", ".svg"})):
        files = (path for path in (ROOT / "listener" / "web" / folder).rglob("*") if path.is_file())
        committed = {path.relative_to(ROOT).as_posix() for path in files}
        shipped = {name for name in wheel.namelist() if name.startswith(f"listener/web/{folder}/")}
        assert shipped == committed != set()
        assert {Path(name).suffix for name in shipped} == suffixes


def test_the_wheel_cannot_be_uploaded_by_mistake(wheel: zipfile.ZipFile) -> None:
    metadata = next(name for name in wheel.namelist() if name.endswith(".dist-info/METADATA"))
    assert "Classifier: Private :: Do Not Upload" in wheel.read(metadata).decode()


@pytest.mark.parametrize(
    ("program", "expected"),
    [
        pytest.param("import triage.assessment as m; print(m.__file__)", "triage/assessment.py", id="core"),
        pytest.param("import atlas; print(sorted(atlas.load().label_names.values()))", "thalamus_left", id="atlas"),
        pytest.param(
            "import sys; sys.argv[1:] = ['--help']; from listener.commands.main import main; main()", "assess", id="cli"
        ),
    ],
)
def test_the_wheel_works_without_the_sources(unpacked: Path, tmp_path: Path, program: str, expected: str) -> None:
    environment = {**os.environ, "PYTHONPATH": str(unpacked)}
    where = "import sys, triage; assert triage.__file__.startswith(sys.argv.pop()), triage.__file__; "
    command = [sys.executable, "-c", where + program, str(unpacked)]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert expected in done.stdout


@pytest.mark.parametrize("name", PACKAGES)
def test_nobody_else_owns_our_import_names(name: str) -> None:
    assert set(packages_distributions().get(name, [])) <= {"icansee"}
    module = __import__(name)
    assert Path(str(module.__file__)).is_relative_to(ROOT), f"{name} is imported from somewhere else"


def test_the_lock_file_belongs_to_the_project_file() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    locked = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))
    ours = next(package for package in locked["package"] if package["name"] == "icansee")
    wanted = {_plain(requirement) for requirement in project["project"]["dependencies"]}
    assert {item["name"] for item in ours["metadata"]["requires-dist"]} == wanted
    for group in project["dependency-groups"]:
        locked_group = {item["name"] for item in ours["metadata"]["requires-dev"][group]}
        assert locked_group == _names_of_group(project["dependency-groups"], group), group


def _names_of_group(groups: dict[str, list[Any]], group: str) -> set[str]:
    parts = [
        _names_of_group(groups, item["include-group"]) if isinstance(item, dict) else {_plain(item)}
        for item in groups[group]
    ]
    return set().union(*parts)


def _plain(requirement: str) -> str:
    """psycopg[binary]>=3.2 -> psycopg"""
    return re.split(r"[\[<>=!~; ]", requirement, maxsplit=1)[0].lower()


def test_each_process_is_a_service(compose: dict[str, Any]) -> None:
    assert set(compose["services"]) == {"redis", *PROCESSES}
    for name, command in PROCESSES.items():
        service = compose["services"][name]
        assert service["command"] == command
        assert service["environment"]["ICANSEE_PROCESS"] == name
        assert service["restart"] == "unless-stopped"
    assert commands_of_the_program() >= {command[1] for command in PROCESSES.values()}


def test_all_that_a_node_needs_starts_by_itself(compose: dict[str, Any]) -> None:
    """Without its urgent worker a node says for ever that it is not well."""
    for file in ("config.container.yaml", "config.hosts.yaml"):
        needed = names_of(config.load(ROOT / file))
        assert {"listener", "worker", "urgent", "beat", "web"} <= set(needed)
        assert all("profiles" not in compose["services"][name] for name in needed)


def test_services_share_the_state_and_the_settings(compose: dict[str, Any]) -> None:
    settings = config.load(ROOT / "config.container.yaml")
    for name in PROCESSES:
        mounts = dict(volume.split(":")[:2] for volume in compose["services"][name]["volumes"])
        assert mounts["state"] == str(settings.store.state_dir)
        assert mounts["./config.container.yaml"] == "/etc/icansee/config.yaml"
    assert set(compose["volumes"]) == {"state", "broker"}


def test_several_hosts_share_a_folder_and_nothing_else() -> None:
    compose = yaml.safe_load((ROOT / "compose.hosts.yaml").read_text(encoding="utf-8"))
    settings = config.load(ROOT / "config.hosts.yaml")
    services = compose["services"]
    assert set(services) == {"postgres", "redis", "init", *PROCESSES}
    assert services["init"]["command"] == ["icansee", "store", "init"]
    for name, command in PROCESSES.items():
        assert services[name]["command"] == command
        assert services[name]["environment"]["ICANSEE_PROCESS"] == name
        mounts = {volume.rsplit(":", 2)[-1 - volume.endswith(":ro")] for volume in services[name]["volumes"]}
        assert mounts == {str(settings.store.state_dir), str(settings.store.shared_dir), "/etc/icansee/config.yaml"}
        assert services[name]["profiles"], "nothing starts on a host that was not asked to"
    assert services["listener"]["ports"] == [f"{settings.listener.port}:{settings.listener.port}"]


def test_services_with_patient_data_answer_only_where_they_are_told_to() -> None:
    services = yaml.safe_load((ROOT / "compose.hosts.yaml").read_text(encoding="utf-8"))["services"]
    for name, port in (("postgres", 5432), ("redis", 6379)):
        assert services[name]["ports"] == [f"${{ICANSEE_SERVICES_ADDRESS:-127.0.0.1}}:{port}:{port}"]


def test_the_broker_remembers_across_a_restart(compose: dict[str, Any]) -> None:
    redis = compose["services"]["redis"]
    assert redis["command"][redis["command"].index("--appendonly") + 1] == "yes"
    assert redis["command"][redis["command"].index("--maxmemory-policy") + 1] == "noeviction"
    assert "ports" not in redis, "the broker is not for the network"


@pytest.mark.parametrize("file", ["compose.yaml", "compose.hosts.yaml"])
def test_every_service_has_limits_and_foreign_images_are_pinned(file: str) -> None:
    services = yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))["services"]
    for name, service in services.items():
        assert re.fullmatch(r"(\$\{ICANSEE_WORKER_MEMORY:-)?[1-9]\d*[gm]\}?", service["mem_limit"]), name
        assert service["logging"]["driver"] == "json-file", name
        assert {"max-size", "max-file"} == set(service["logging"]["options"]), name
        if "build" not in service:
            assert PINNED.fullmatch(service["image"]), f"{name}: {service['image']}"


@pytest.mark.parametrize(
    ("file", "settings"), [("compose.yaml", "config.container.yaml"), ("compose.hosts.yaml", "config.hosts.yaml")]
)
def test_the_broker_asks_for_a_password(file: str, settings: str) -> None:
    redis = yaml.safe_load((ROOT / file).read_text(encoding="utf-8"))["services"]["redis"]
    password = redis["command"][redis["command"].index("--requirepass") + 1]
    assert password == "${ICANSEE_QUEUE_PASSWORD:?in .env}", "no default: compose refuses to start without one"
    url = config.load(ROOT / settings).queue.url
    assert url is not None
    assert re.match(r"redis://:[^@]+@", url)


def test_the_image_stands_on_pinned_ones_and_installs_a_pinned_uv() -> None:
    bases = [line[1] for line in dockerfile() if line[0] == "FROM"]
    assert bases == ["${BASE}", "${BASE}"], "what is built in one runs in the other"
    (default,) = [line[1].removeprefix("BASE=") for line in dockerfile() if line[0] == "ARG" and "BASE=" in line[1]]
    assert PINNED.fullmatch(default), default
    script = (ROOT / "scripts" / "image.sh").read_text(encoding="utf-8")
    assert "--require-hashes -r scripts/uv.txt" in script
    uv = (ROOT / "scripts" / "uv.txt").read_text(encoding="utf-8")
    version = re.search(r"^UV_VERSION=(\S+)$", (ROOT / "scripts" / "downloads.sh").read_text(), re.MULTILINE)
    assert version is not None
    assert f"uv=={version[1]} " in uv
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", uv)) == 2


def test_the_container_settings_fit_the_compose_file(compose: dict[str, Any]) -> None:
    settings = config.load(ROOT / "config.container.yaml")
    assert settings.queue.url is not None
    assert urlsplit(settings.queue.url).hostname in compose["services"]
    assert compose["services"]["listener"]["ports"] == [f"{settings.listener.port}:{settings.listener.port}"]
    assert compose["services"]["web"]["ports"] == [f"127.0.0.1:{settings.web.port}:{settings.web.port}"]


def dockerfile() -> list[list[str]]:
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8").replace("\\\n", " ")
    return [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]


def test_the_image_copies_what_exists_and_is_not_ignored() -> None:
    kept = [line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    copied = [line[1:-1] for line in dockerfile() if line[0] == "COPY" and not line[1].startswith("--from")]
    sources = [source for line in copied for source in line]
    for source in sources:
        assert (ROOT / source).exists(), source
        assert any(fnmatch.fnmatch(source, pattern) for pattern in kept), f"{source} is in .dockerignore"
    assert set(PACKAGES) <= set(sources)


def test_the_image_runs_without_root_and_looks_after_itself() -> None:
    lines = dockerfile()
    last_stage = lines[max(n for n, line in enumerate(lines) if line[0] == "FROM") :]
    assert next(line[1] for line in last_stage if line[0] == "USER") != "root"
    assert any(line[0] == "HEALTHCHECK" for line in last_stage)
    command = yaml.safe_load(" ".join(next(line[1:] for line in last_stage if line[0] == "CMD")))
    assert command == ["icansee", "serve"]
    assert "serve" in commands_of_the_program()


def test_health_check_tells_a_dead_process(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("store: {state_dir: state}\n")
    command = [sys.executable, str(ROOT / "scripts" / "healthcheck.py")]
    environment = {**os.environ, "ICANSEE_PROCESS": "worker"}

    def healthy() -> bool:
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False).returncode == 0

    assert not healthy()
    alive = heartbeat_file(tmp_path / "state", "worker")
    alive.parent.mkdir(parents=True)
    alive.touch()
    assert healthy()
    silent = alive.stat().st_mtime - 120
    os.utime(alive, (silent, silent))
    assert not healthy(), "it is stopped or hangs"


def test_make_alone_lists_the_chores() -> None:
    listed = subprocess.run(["make", "-s"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert {line.split()[1] for line in listed.splitlines()} >= set(CHORES)


@pytest.mark.parametrize("chore", CHORES)
def test_every_chore_exists(chore: str) -> None:
    subprocess.run(["make", "-n", chore], cwd=ROOT, capture_output=True, check=True)


@pytest.mark.parametrize(
    "script", ["scripts/setup.sh", "scripts/test-peers.sh", "scripts/image.sh", "scripts/image-check.sh", ".ci/run"]
)
def test_scripts_stop_at_the_first_error(script: str) -> None:
    path = ROOT / script
    assert os.access(path, os.X_OK)
    assert "set -euo pipefail" in path.read_text(encoding="utf-8")
    subprocess.run(["bash", "-n", str(path)], check=True)
