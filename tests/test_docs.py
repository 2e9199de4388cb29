"""The documents say what is so: commands exist and run, links lead somewhere, every setting is explained."""

from __future__ import annotations

import dataclasses
import functools
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml
from pydantic import BaseModel

from listener.commands.main import app
from scripts import settings_reference
from triage.errors import Misconfigured
from triage.patterns.all import PATTERNS
from workers import config
from workers.config import Settings

ROOT = Path(__file__).parent.parent
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
NAMED = [pytest.param(path, id=path.name) for path in DOCUMENTS]
PATTERN_SECTIONS = {pattern.key for pattern in PATTERNS}
SECTIONS = [type(value) for name, value in Settings() if name != "triage"]
PROGRAM = Path(sys.executable).with_name("icansee")


@dataclass(frozen=True)
class Block:
    """One fenced block. run: a comment above it asks for it to be run and its output compared."""

    document: str
    line: int
    language: str
    text: str
    run: bool

    @property
    def commands(self) -> list[tuple[str, list[str]]]:
        """(command, expected output lines) of a console block."""
        found: list[tuple[str, list[str]]] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                found.append((line[2:], []))
            elif found:
                found[-1][1].append(line)
        return found


def blocks() -> Iterator[Block]:
    fence = re.compile(r"^(<!-- run -->\n)?```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    for path in DOCUMENTS:
        text = path.read_text(encoding="utf-8")
        for match in fence.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            yield Block(path.name, line, match[2], match[3], match[1] is not None)


def settings_keys(value: object = Settings(), prefix: str = "") -> Iterator[str]:
    """Dotted names of all settings, sections included."""
    if isinstance(value, BaseModel):
        names = list(type(value).model_fields)
    elif dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
    else:
        return
    for name in names:
        yield prefix + name
        yield from settings_keys(getattr(value, name), f"{prefix}{name}.")


def keys_of(mapping: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in mapping.items():
        yield prefix + name
        if isinstance(value, dict):
            yield from keys_of(value, f"{prefix}{name}.")


# --- config.yaml


def test_the_settings_file_holds_the_defaults() -> None:
    assert config.load(ROOT / "config.yaml") == Settings()


def test_the_settings_file_names_what_a_site_decides() -> None:
    """All keys of the node, and of the core the limits of the patterns."""
    written = set(keys_of(yaml.safe_load((ROOT / "config.yaml").read_text(encoding="utf-8"))))
    left_out = set(settings_keys()) - written
    assert written <= set(settings_keys())
    assert {key.split(".")[0] for key in left_out} == {"triage"}
    assert {key for key in left_out if key.split(".")[1] in PATTERN_SECTIONS} == set()
    assert {key.split(".")[1] for key in written if key.startswith("triage.")} == {
        "threads",
        "cohort",
        *PATTERN_SECTIONS,
    }


def test_the_settings_file_and_the_reference_say_the_same() -> None:
    text = (ROOT / "config.yaml").read_text(encoding="utf-8").split("\ntriage:")[0]
    comments = re.findall(r"^  (\w+): .*?# (.*)$", text, re.MULTILINE)
    said = [(name, value) for section in SECTIONS for name, value in settings_reference.meanings(section).items()]
    assert {key for key, _ in comments} == {key for key, _ in said}, "keys of config.yaml and of the settings classes"
    assert sorted(comments) == sorted(said)


def test_every_setting_is_explained() -> None:
    """A comment on the line; a variant of the key above (thalami_different) may share that one's."""
    lines = [line for line in (ROOT / "config.yaml").read_text(encoding="utf-8").splitlines() if ":" in line]
    bare = [line.strip() for line in lines if "#" not in line]
    assert {line.split(":")[0].rsplit("_", 1)[-1] for line in bare} <= {"different"}, bare


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param("listner: {}", ["listner", "unknown key", "listener", "triage"], id="unknown section"),
        pytest.param("listener: {prot: 1}", ["listener.prot", "unknown key", "port"], id="unknown key"),
        pytest.param("triage: {threds: 1}", ["triage.threds", "threads"], id="unknown key of the core"),
        pytest.param(
            "triage: {bithalamic: {zz: 1}}", ["triage.bithalamic.zz", "thalami_same"], id="unknown limit of a pattern"
        ),
        pytest.param("listener: {port: 70000}", ["listener.port", "65535", "70000"], id="out of range"),
        pytest.param("log: {level: loud}", ["log.level", "debug", "warning", "loud"], id="not one of the choices"),
        pytest.param("listener: {ae_title: 'much too long a title'}", ["listener.ae_title"], id="AE title"),
        pytest.param("listener: {peers: [{ae_title: A, hosts: [here]}]}", ["peers", "here"], id="not a network"),
        pytest.param(
            "arrival: {quiet_period_s: soon}", ["arrival.quiet_period_s", "number", "soon"], id="not a number"
        ),
        pytest.param(
            "listener: {durable: false}", ["listener", "durable", "remove this key"], id="a key of benchmarks"
        ),
        pytest.param("- listener", ["mapping", "list"], id="not a mapping"),
        pytest.param("listener: {", ["YAML"], id="not YAML"),
    ],
)
def test_a_wrong_setting_is_refused_by_name(tmp_path: Path, text: str, said: list[str]) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Misconfigured) as refused:
        config.load(path)
    for word in said:
        assert word in str(refused.value)


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("listener: {durable: true}", id="what every node does"),
        pytest.param("listener: {}", id="noop: nothing said"),
    ],
)
def test_a_key_of_older_files_that_says_what_is_so_anyway_is_accepted(text: str) -> None:
    assert config.parse(yaml.safe_load(text)) == Settings()


PEER = {"ae_title": "A", "passcode": "open sesame"}
PACS = {"name": "a", "kind": "dicom", "ae_title": "A", "host": "localhost", "outputs": ["sr"], **PEER, "user": "u"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        pytest.param({"listener": {"durable": False, "peers": [PEER]}}, "durable", id="a section"),
        pytest.param({"results": {"destinations": [PACS, PACS]}}, "the name a stands for two", id="a list of sections"),
        pytest.param({"listener": {"peers": [PEER | {"passcode": ["sesame"]}]}}, "passcode", id="a list"),
        pytest.param({"results": {"destinations": [PACS | {"passcode": 5353}]}}, "passcode", id="a number"),
        pytest.param(
            {
                "results": {
                    "destinations": [{"name": "w", "kind": "stow", "url": "https://u:sesame@h/", "outputs": ["sr"]}]
                }
            },
            "without user and password",
            id="an address",
        ),
    ],
)
def test_a_refusal_repeats_no_password(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(Misconfigured, match=said) as refused:
        config.parse(settings)
    assert not re.search("sesame|5353", str(refused.value))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        pytest.param(
            "web:\n  port: 1\nlistener:\n  prot: 1\n", "config.yaml:4: listener.prot: unknown", id="unknown key"
        ),
        pytest.param(
            "listener:\n  peers:\n  - ae_title: A\n    hosts: [here]\n", "config.yaml:4: listener.p", id="a value"
        ),
        pytest.param(
            "results:\n  destinations:\n  - name: a\n    kind: folder\n    path: /\n    outputs: [srr]\n",
            "config.yaml:6: results.destinations.0.folder.outputs.0: srr is no output",
            id="below the kind of a destination",
        ),
        pytest.param(
            "results:\n  destinations:\n  - {name: a, kind: folder, outputs: [sr]}\n",
            "config.yaml:3: results.destinations.0.folder.path",
            id="not measured: a key that is missing has the line of its section",
        ),
    ],
)
def test_a_refusal_names_the_line_once(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(Misconfigured) as refused:
        config.load(path)
    (line,) = str(refused.value).splitlines()
    assert said in line


# --- commands in the documents


def every_command() -> list[Any]:
    found = []
    for block in blocks():
        lines = (command for command, _ in block.commands) if block.language == "console" else block.text.splitlines()
        wanted = [line for line in lines if re.match(r"(\.venv/bin/)?icansee ", line)]
        found += [
            pytest.param(line.split("  #")[0], id=f"{block.document}:{block.line}:{line[:40]}") for line in wanted
        ]
    return found


@pytest.mark.parametrize("line", every_command())
def test_commands_and_options_exist(line: str) -> None:
    words = line.split()[1:]
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands"):
        assert words, f"{line}: a command is missing"
        assert words[0] in command.commands, f"{line}: no command {words[0]}"
        command = command.commands[words.pop(0)]
    known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
    assert {word for word in words if word.startswith("--")} <= known, line


def test_every_command_is_in_a_document() -> None:
    group: Any = typer.main.get_command(app)
    text = "\n".join(path.read_text(encoding="utf-8") for path in DOCUMENTS)
    assert [name for name in group.commands if f"icansee {name}" not in text] == []


TO_RUN = [pytest.param(block, id=f"{block.document}:{block.line}") for block in blocks() if block.run]


def test_some_blocks_are_run() -> None:
    assert len(TO_RUN) >= 3


@pytest.mark.parametrize("block", TO_RUN)
def test_what_is_shown_is_what_comes(block: Block, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("store: {state_dir: state}\n", encoding="utf-8")
    for command, expected in block.commands:
        done = subprocess.run(
            ["bash", "-c", command.replace("icansee ", f"{PROGRAM} ", 1)],
            cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
        )  # fmt: skip
        shown = "\n".join(expected).strip()
        pattern = re.escape(shown).replace(re.escape("..."), ".*")
        assert re.fullmatch(pattern, done.stdout.strip(), re.DOTALL), f"{command}\n{done.stdout}"


# --- the result document

OF_A_NODE = {"decided_at", "inputs", "images", "priors", "order_priority", "tags"}


def test_every_key_of_the_result_is_in_the_readme() -> None:
    golden = sorted((ROOT / "tests" / "triage" / "report" / "golden").glob("*.json"))
    keys = {key for path in golden for key in json.loads(path.read_text(encoding="utf-8"))}
    assert len(keys) > 15
    section = (ROOT / "README.md").read_text(encoding="utf-8").split("## The result in short")[1].split("\n## ")[0]
    told = {key for row in re.findall(r"^\| (`.*?) \|", section, re.MULTILINE) for key in re.findall(r"`(\w+)`", row)}
    assert told == (keys | OF_A_NODE) - {"schema_version"}


# --- the documents themselves


@pytest.mark.parametrize("path", NAMED)
def test_links_lead_somewhere(path: Path) -> None:
    targets = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    missing = [t for t in targets if not t.startswith(("http://", "https://")) and not (path.parent / t).exists()]
    assert missing == []


def anchors(text: str) -> set[str]:
    """Of every heading, as the pages of a repository name it: small letters, no punctuation, hyphens for blanks."""
    titles = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("path", NAMED)
def test_links_lead_to_a_heading(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    targets = [(name, anchor) for name, anchor in re.findall(r"\]\(([^)#:]*)#([^)]+)\)", text)]
    pages = {name: (path.parent / name).read_text(encoding="utf-8") if name else text for name, _ in targets}
    assert [f"{name}#{anchor}" for name, anchor in targets if anchor not in anchors(pages[name])] == []


@pytest.mark.parametrize("path", NAMED)
def test_make_words_exist(path: Path) -> None:
    rules = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    used = re.findall(r"(?:^|`)make (\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    assert set(used) <= set(rules)


@functools.cache
def known_settings() -> frozenset[str]:
    """Keys and sections. They come from the source of every settings class, which takes more than a second."""
    return frozenset(settings_keys()) | {table.path for table in settings_reference.tables()}


@functools.cache
def log_events() -> set[str]:
    sources = [
        path.read_text(encoding="utf-8") for room in ("listener", "workers") for path in (ROOT / room).rglob("*.py")
    ]
    return set(re.findall(r'\blog\.\w+\(\s*"([a-z_.-]+)"', "\n".join(sources)))


@pytest.mark.parametrize("path", NAMED)
def test_settings_that_are_named_exist(path: Path) -> None:
    """`listener.peers` and the like: a name that begins with a section and is no file and no log event."""
    known = known_settings()
    names = re.findall(r"`([a-z_]+(?:\.[a-z_]+)+)`", path.read_text(encoding="utf-8"))
    no_settings = log_events() | {"index.db"}
    mentioned = {name for name in names if name.split(".")[0] in known and not name.endswith(".py")} - no_settings
    assert mentioned <= known


def test_the_limits_the_radiologist_reads_are_the_defaults() -> None:
    limits = Settings().triage.bithalamic
    text = (ROOT / "docs" / "radiologist.md").read_text(encoding="utf-8")
    rows = {row[2:4]: row for row in re.findall(r"^\| A\d.*$", text, re.MULTILINE)}
    assert f"+{limits.thalami_same:g} % (strong +{limits.thalami_strong_same:g} %)" in rows["A1"]
    assert f"+{limits.thalami_different:g} % (strong +{limits.thalami_strong_different:g} %)" in rows["A1"]
    assert f"+{limits.stem_same:g} % | +{limits.stem_different:g} %" in rows["A2"]
    assert f"+{limits.swelling_same:g} % | +{limits.swelling_different:g} %" in rows["A3"]
    assert f"the pons +{limits.pons_swelling_percent:g} %" in rows["A3"]
    assert f"the third ventricle {limits.third_ventricle_percent:g} %" in rows["A3"]
    assert f"+{limits.capsules:g} % | +{limits.capsules:g} %" in rows["A4"]
    assert f"brain stem together | +{limits.together_same:g} % | +{limits.together_different:g} %" in text
    assert f"{limits.z:g} times" in text


def limits_in(text: str) -> list[tuple[str, str, float]]:
    """Every limit of a table: (row, setting, number); the numbers and the settings of a row have the same order."""
    found = []
    for row in re.findall(r"^\|.*`triage\.[a-z_.]+`.*\|$", text, re.MULTILINE):
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        numbers = [float(cell) for cell in cells if re.fullmatch(r"-?\d+(\.\d+)?", cell)]
        names = re.findall(r"`(triage\.[a-z_.]+)`", row)
        assert len(numbers) == len(names), row
        found += [(row, name, number) for name, number in zip(names, numbers, strict=True)]
    return found


def test_the_limits_of_the_method_are_the_defaults() -> None:
    written = limits_in((ROOT / "docs" / "method.md").read_text(encoding="utf-8"))
    assert len(written) > 60
    for row, name, number in written:
        value: Any = Settings()
        for part in name.split("."):
            value = getattr(value, part)
        assert value == number, row
