"""The command export: a stored decision in, its outputs as files out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from listener.commands.common import ConfigOption, err, existing_index, load_settings, quiet_logging
from listener.commands.studies import UidArgument
from triage.errors import Misconfigured


def export(
    study_uid: UidArgument,
    out_dir: Annotated[Path, typer.Option("--out", metavar="DIR", help="where the files go")],
    kinds: Annotated[
        str | None, typer.Option("--kinds", help="e.g. sr,seg; default: all that are sent by themselves")
    ] = None,
    config: ConfigOption = None,
) -> None:
    """Write the newest decision about one study as files: report, segmentation, picture, key images."""
    quiet_logging()
    from workers.container import open_deliveries, open_results, zone_of_site
    from workers.deliveries.beside import MOST, what_went_out
    from workers.delivery_ports import Decided
    from workers.outputs.all import ON_REQUEST, OUTPUTS
    from workers.outputs.beside import SITE_ZONE, WENT_OUT, went_out_json
    from workers.outputs.sources import FILE_NAME, with_headers
    from workers.studies.source_process import repaired_here

    settings = load_settings(config)
    index = existing_index(settings)
    newest = index.assessments(study_uid)
    if not newest:
        raise Misconfigured(f"STUDY_UID: {study_uid} is not stored here, or has no decision yet")
    folder = open_results(settings).place(study_uid, newest[-1]["revision"], newest[-1]["stage"])
    evidence = {path.name: path.read_bytes() for path in folder.iterdir()} if folder.is_dir() else {}
    decided = Decided(study_uid, newest[-1]["revision"], newest[-1]["stage"])
    if folder.is_dir() and not with_headers(evidence.get(FILE_NAME, b"")):
        sources = repaired_here(settings, index, decided)
        evidence |= {} if sources is None else {FILE_NAME: sources}
    gone = open_deliveries(settings).listed(study_instance_uid=study_uid, limit=MOST)
    evidence |= {
        WENT_OUT: went_out_json(what_went_out(gone, decided, None)),
        SITE_ZONE: zone_of_site(settings).encode(),
    }
    known = {output.kind: output for output in (*OUTPUTS, *ON_REQUEST)}
    wanted = [output.kind for output in OUTPUTS] if kinds is None else kinds.split(",")
    for kind in wanted:
        if kind not in known:
            raise Misconfigured(f"--kinds: {kind} is none of {', '.join(known)}")
    try:
        out_dir.mkdir(parents=True, exist_ok=True)
        for kind in wanted:
            if not known[kind].applies(newest[-1]["document"], evidence):
                err().print(f"{kind}: does not apply to this decision")
                continue
            path = out_dir / known[kind].file_name
            path.write_bytes(known[kind].render(newest[-1]["document"], evidence))
            err().print(f"wrote {path}", soft_wrap=True)
    except OSError as error:
        raise Misconfigured(f"--out: {out_dir} cannot be written ({error.strerror})") from error
