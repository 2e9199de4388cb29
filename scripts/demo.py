"""Starts a node with a PACS and a RIS around it, sends two synthetic patients by C-STORE, and shows their decisions,
their pictures, and what arrived at the two.

Exit code 0 only when every decision is the expected one. Everything is written below ./demo (emptied first). With
``--stay`` its address and an account to sign in with are printed before the first study is sent, and the node stays up
for looking around, until Ctrl-C.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import yaml
from rich.console import Console
from rich.table import Table

from scripts.demo_receivers import Receivers, receiving

FOLDER = Path("demo")
CONFIG = FOLDER / "config.yaml"
READY = FOLDER / "ready.json"
LOG = FOLDER / "node.log"
ACCOUNT = "visitor"
ICANSEE = Path(sys.executable).with_name("icansee")
# a busy machine took more than 90 s to start; a node that ends is noticed at once
START_S, DECISION_S, DELIVERY_S, STOP_S = 300.0, 600.0, 120.0, 90.0

# Free ports do not collide with another node. Short pauses keep the demonstration short.
SETTINGS = {
    "store": {"state_dir": str(FOLDER / "state")},
    "listener": {"port": 0},
    "web": {"port": 0},
    "arrival": {"quiet_period_s": 3.0},
    "queue": {"sweep_every_s": 1.0},
    "log": {"format": "console"},
}

console = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else 120)


class DemoError(Exception):
    """The demonstration cannot go on; the message says why."""


@dataclass(frozen=True)
class Patient:
    """A synthetic patient, and what must come out for the follow-up."""

    title: str
    seed: int
    pattern: str
    expected: str


@dataclass(frozen=True)
class Sent:
    """A study on its way through the node. expected: the category of the contract."""

    title: str
    uid: str
    folder: Path
    expected: str

    @property
    def images(self) -> int:
        return sum(1 for _ in self.folder.rglob("*.dcm"))


PATIENTS = (
    Patient("pattern A", seed=1, pattern="A", expected="neurotoxicity_suspected"),
    Patient("no change", seed=2, pattern="none", expected="no_pattern"),
)


def main() -> int:
    started = time.monotonic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    try:
        with receiving() as hospital:
            settings = SETTINGS | {"results": {"destinations": hospital.destinations()}}
            CONFIG.write_text(yaml.safe_dump(settings), encoding="utf-8")
            return _run(hospital, started, stay="--stay" in sys.argv[1:])
    except (DemoError, httpx.HTTPError) as error:
        console.print(f"demo: {error}; the node's log is {LOG}", style="bold red", markup=False)
        return 1


def _run(hospital: Receivers, started: float, *, stay: bool) -> int:
    with _node() as facts:
        web = httpx.Client(base_url=facts["web_url"], timeout=30.0)
        if stay:
            password, web.headers["Authorization"] = _account()
            console.print(f"The worklist: {facts['web_url']}  (open it now: it fills meanwhile)", markup=False)
            console.print(f"Sign in as {ACCOUNT} with the password {password}", markup=False)
        sent = [_one_after_the_other(web, patient) for patient in PATIENTS]
        studies = [before for before, _ in sent] + [after for _, after in sent]
        with _step("results arrive at PACS and RIS"):
            _until(_all_delivered, DELIVERY_S, "not every result arrived; see `icansee deliveries list`")
        _show_arrivals(web, hospital, studies)
        status = _report(web, studies, started)
        if stay:
            console.print(f"The worklist: {facts['web_url']}  (Ctrl-C ends the node)", markup=False)
            console.print(f"Sign in as {ACCOUNT} with the password {password}", markup=False)
            with contextlib.suppress(KeyboardInterrupt):
                threading.Event().wait()
        return status


def _one_after_the_other(web: httpx.Client, patient: Patient) -> tuple[Sent, Sent]:
    """The two studies of a patient, each decided before the next is made: the first patient is flagged soon."""
    before, after = _simulate(patient)
    for study in (before, after):
        with _step(f"C-STORE {study.images} images, {study.title}"):
            _icansee("send", str(study.folder), "--config", str(CONFIG))
        with _step(f"decision, {study.title}"):
            _until(partial(_decided, web, study), DECISION_S, f"no decision on {study.title}")
    return before, after


def _account() -> tuple[str, str]:
    """The password of an account that sees everything, and the header by which this program asks in its name: once
    there is an account, the page and the API ask everybody to sign in."""
    made = _icansee("users", "add", ACCOUNT, "--role", "administrator", "--generate", "--config", str(CONFIG))
    wanted = ("--scope", "studies:read", "--for", "the demonstration", "--config", str(CONFIG))
    token = _icansee("users", "tokens", "add", ACCOUNT, *wanted)
    return _after("password: ", made), f"Bearer {_after('token: ', token)}"


def _after(label: str, said: str) -> str:
    return next(line.removeprefix(label) for line in said.splitlines() if line.startswith(label))


def _simulate(patient: Patient) -> tuple[Sent, Sent]:
    """The baseline and the follow-up of a patient whose infusion date the node knows."""
    with _step(f"synthetic patient: {patient.title}"):
        written = _icansee(
            "simulate", "--out", str(FOLDER / "dicom"), "--pattern", patient.pattern, "--seed", f"{patient.seed}",
            "--protocol", "2d", "--sequences", "flair,t1", "--json",
        )  # fmt: skip
        facts = json.loads(written)
        roster = ("patients", "set", facts["patient_id"], "--infusion-date", facts["infusion_date"])
        _icansee(*roster, "--config", str(CONFIG))
    before, after = Path(facts["baseline_dir"]), Path(facts["followup_dir"])
    return (
        Sent(f"{patient.title}: baseline", facts["baseline_study_uid"], before, "not_assessable"),
        Sent(f"{patient.title}: follow-up", facts["followup_study_uid"], after, patient.expected),
    )


@contextmanager
def _node() -> Iterator[dict[str, Any]]:
    """`icansee serve` until the block ends; what it announced."""
    with LOG.open("wb") as log:
        command = [str(ICANSEE), "serve", "--config", str(CONFIG), "--ready-file", str(READY)]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)  # noqa: S603 - our own command
    try:
        with _step("node with its own broker: icansee serve"):
            _until(READY.exists, START_S, "the node did not start", process)
        yield json.loads(READY.read_text(encoding="utf-8"))
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def _decided(web: httpx.Client, study: Sent) -> bool:
    """All images are in, and the decision is about all of them."""
    entries = web.get("api/studies").raise_for_status().json()
    entry = next((e for e in entries if e["study_instance_uid"] == study.uid), None)
    if entry is not None and entry["state"] == "failed":
        raise DemoError(f"{study.title}: {entry['failure']}")
    return entry is not None and entry["images"] == study.images and entry["state"] == "assessed"


def _all_delivered() -> bool:
    deliveries = json.loads(_icansee("deliveries", "list", "--json", "--config", str(CONFIG)))
    dead = [one for one in deliveries if one["state"] == "dead"]
    if dead:
        raise DemoError(f"the {dead[0]['destination']} did not take the {dead[0]['output']}: {dead[0]['failure']}")
    return bool(deliveries) and all(one["state"] in ("done", "superseded") for one in deliveries)


def _show_arrivals(web: httpx.Client, hospital: Receivers, studies: list[Sent]) -> None:
    """What came to the PACS and the RIS, and how long after its decision."""
    table = Table(
        caption="s: from the stored decision of the full assessment to the arrival; before it: the first look"
    )
    for name in ("at", "what", "study", "kB", "s"):
        table.add_column(name, no_wrap=name != "what", justify="right" if name in ("kB", "s") else "left")
    titles = {study.uid: study.title for study in studies}
    decided = {study.uid: _decided_at(web, study) for study in studies}
    for one in sorted(hospital.arrivals, key=lambda one: one.at):
        after = one.at - decided[one.study]
        table.add_row(one.where, one.what, titles[one.study], f"{one.size_bytes / 1e3:.0f}", f"{after:+.1f}")
    console.print(table)
    urgent = next(study for study in studies if study.expected == "neurotoxicity_suspected")
    console.print(f"The newest HL7 message about {urgent.title}, as the RIS decodes it:", markup=False)
    for line in hospital.lines.get(urgent.uid, ["none"]):
        console.print(f"    {line[:200]}", markup=False)


def _decided_at(web: httpx.Client, study: Sent) -> float:
    document = web.get(f"api/studies/{study.uid}").raise_for_status().json()
    return datetime.fromisoformat(document["decided_at"]).timestamp()


def _report(web: httpx.Client, studies: list[Sent], started: float) -> int:
    table = Table(caption="day: days after the infusion")
    for name in ("study", "date", "day", "decision", "priority", "expected"):
        table.add_column(name, no_wrap=True)
    why, wrong = [], []
    for study in studies:
        document = web.get(f"api/studies/{study.uid}").raise_for_status().json()
        (FOLDER / f"{_file_name(study)}.json").write_text(json.dumps(document, indent=1), encoding="utf-8")
        decision = document["decision"]
        as_expected = decision["category"] == study.expected
        if not as_expected:
            wrong.append(f"{study.title}: {decision['category']} instead of {study.expected}")
        when = document["study"]
        table.add_row(
            study.title, when["study_date"], str(when["days_after_infusion"]), decision["category"],
            decision["priority"], "yes" if as_expected else "NO", style=None if as_expected else "red",
        )  # fmt: skip
        why += [f"{study.title}: {reason}" for reason in decision["reasons"][:1]]
        if study.expected != "not_assessable" and _picture(web, study) is None:
            wrong.append(f"{study.title}: no evidence picture")
    console.print(table)
    for line in why:
        console.print(f"- {line}", markup=False)
    pictures = sorted(FOLDER.glob("*.png"))
    if pictures:
        console.print(
            "evidence pictures (baseline | follow-up | difference): " + " ".join(map(str, pictures)), markup=False
        )
    for line in wrong:
        console.print(line, style="bold red", markup=False)
    console.print(f"{'not as expected' if wrong else 'all as expected'} after {time.monotonic() - started:.0f} s")
    return 1 if wrong else 0


def _picture(web: httpx.Client, study: Sent) -> Path | None:
    response = web.get(f"api/studies/{study.uid}/evidence.png")
    if response.status_code != httpx.codes.OK:
        return None
    path = FOLDER / f"{_file_name(study)}.png"
    path.write_bytes(response.content)
    return path


def _file_name(study: Sent) -> str:
    return study.title.replace(": ", "-").replace(" ", "-")


def _icansee(*arguments: str) -> str:
    done = subprocess.run([ICANSEE, *arguments], capture_output=True, text=True, check=False)  # noqa: S603 - our own command
    if done.returncode != 0:
        raise DemoError(f"icansee {' '.join(arguments)} ended with {done.returncode}: {done.stderr[-2000:]}")
    return done.stdout


@contextmanager
def _step(what: str) -> Iterator[None]:
    """One line per step: what, and how long it took."""
    started = time.monotonic()
    with console.status(what):
        yield
    console.print(f"{time.monotonic() - started:6.1f} s  {what}")


def _until(
    done: Callable[[], object], patience_s: float, failure: str, process: subprocess.Popen[bytes] | None = None
) -> None:
    deadline = time.monotonic() + patience_s
    while not done():
        if time.monotonic() > deadline or (process is not None and process.poll() is not None):
            raise DemoError(failure)
        time.sleep(0.25)


if __name__ == "__main__":
    sys.exit(main())
