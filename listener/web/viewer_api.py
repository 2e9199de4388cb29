"""What the viewer of a study fetches: which volumes there are, one axial slice of one, or all of it. Bytes as they were
stored."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, NoReturn

from fastapi import FastAPI, Header, HTTPException
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse, Response, StreamingResponse

from listener.web.api import VERSION, OlderVersion, Uid
from listener.web.site import Site
from workers.log import get_logger, study_hash
from workers.outputs.results import FOLDER
from workers.outputs.viewer_files import INDEX, DamagedVolume, ViewerFolder
from workers.ports import StudyRow

log = get_logger(__name__)

WRITTEN_WITHIN = timedelta(seconds=120)  # the files follow the decision; after this time they never come
AGAIN_S = 2
MOST_SLICES = 4095
BYTES = "application/octet-stream"

Version = Annotated[str, PathParameter(pattern=VERSION, description="as the index names it")]
VolumeName = Annotated[str, PathParameter(pattern=r"^[a-z][a-z0-9_]{0,31}$", description="a name of the index")]
Number = Annotated[int, PathParameter(ge=0, le=MOST_SLICES, description="0 is the lowest slice")]

ANSWERS: dict[int | str, dict[str, Any]] = {
    404: {"description": "no such study, volume or slice, or the decision has no images to show"},
    410: {"description": "the files of this decision were removed"},
    503: {"description": "the files are not written yet, or cannot be read now; try again"},
}


class NotWrittenYet(HTTPException):
    """The files of a young decision: they may still come."""


def add_viewer(app: FastAPI, site: Site) -> None:
    """Add the routes of the viewer's data."""

    @app.get("/api/studies/{uid}/viewer", responses=ANSWERS)
    def index(uid: Uid, version: OlderVersion = None) -> dict[str, Any]:
        """The volumes of the newest decision, or of an older one: shape, spacing, units, places of regions and lesions.

        Arrays are in C order with the axes head, back, left; ``affine_lps_mm`` takes (left, back, head, 1).
        """
        return viewer_index(site, uid, version)

    @app.get("/api/studies/{uid}/viewer/{version}/{volume}/axial/{number}", responses=ANSWERS, response_class=Response)
    def axial(uid: Uid, version: Version, volume: VolumeName, number: Number) -> Response:
        """The raw voxels of one axial slice; rows run to the back, columns to the patient's left."""
        with _reading(site, uid, version) as folder:
            content = folder.axial(volume, number)
        if content is None:
            raise HTTPException(404, "no such slice")
        return Response(content, media_type=BYTES)

    @app.get("/api/studies/{uid}/viewer/{version}/{volume}", responses=ANSWERS, response_class=Response)
    def whole(
        uid: Uid,
        version: Version,
        volume: VolumeName,
        accept_encoding: Annotated[str, Header()] = "",
        if_none_match: Annotated[str, Header()] = "",
    ) -> Response:
        """All raw voxels of a volume, packed with gzip for who accepts that."""
        with _reading(site, uid, version) as folder:
            path = folder.path(volume)
            facts = path.stat()
            tag = f'"{facts.st_mtime_ns:x}-{facts.st_size:x}"'
            headers = {"ETag": tag, "Vary": "Accept-Encoding"}
            if tag in if_none_match.split(", "):
                return Response(status_code=304, headers=headers)
            if "gzip" in accept_encoding.lower():
                headers["Content-Encoding"] = "gzip"
                return FileResponse(path, media_type=BYTES, headers=headers, stat_result=facts)
            return StreamingResponse(folder.unpacked(volume), media_type=BYTES, headers=headers)


def viewer_index(site: Site, uid: str, version: str | None = None) -> dict[str, Any]:
    """The index of the decision that is shown, with ``version``, the name of that decision in the other paths.

    Args:
        version: an older decision; None: the newest.

    Raises:
        HTTPException: 404, 410 or 503.
    """
    if version is not None:
        return _index_of(site, uid, version)
    row = site.index.study(uid)
    if row is None or row.decided_revision is None:
        raise HTTPException(404, "no such study" if row is None else "no decision yet")
    path = site.results.file(uid, row.decided_revision, INDEX)
    if path is None:
        document = site.index.assessment(uid) or {}
        there = site.results.file(uid, row.decided_revision, "document.json") is not None
        if there and (_shows_nothing(document) or not _is_young(site, document, row)):
            raise HTTPException(404, "this decision has no images to show")
        _absent(site, document, row)
    return _index_of(site, uid, path.parent.name)


def _index_of(site: Site, uid: str, version: str) -> dict[str, Any]:
    with _reading(site, uid, version) as folder:
        found = folder.index()
        volumes = [{key: value for key, value in one.items() if key != "slices"} for one in found["volumes"]]
        return {**found, "version": version, "volumes": volumes}


def _shows_nothing(document: Mapping[str, Any]) -> bool:
    """A study of which nothing was measured never gets volumes."""
    category = (document.get("decision") or {}).get("category")
    return category == "not_assessable" and (document.get("judged") or {}).get("from") == "nothing"


def _is_young(site: Site, document: Mapping[str, Any], row: StudyRow) -> bool:
    """Whether files of the decision may still come; the volumes come last."""
    told = document.get("decided_at")
    since = row.last_received_at if row.ready_at is None else row.ready_at
    return site.now() - (datetime.fromisoformat(told) if isinstance(told, str) else since) < WRITTEN_WITHIN


def _absent(site: Site, document: Mapping[str, Any], row: StudyRow) -> NoReturn:
    """503 while the files of a young decision may come, then 410."""
    if _is_young(site, document, row):
        raise NotWrittenYet(503, "the images of this decision are not written yet", {"Retry-After": str(AGAIN_S)})
    raise HTTPException(410, "the files of this decision were removed")


@contextmanager
def _reading(site: Site, uid: str, version: str) -> Iterator[ViewerFolder]:
    """The folder of one decision; what goes wrong in it as an answer."""
    found = FOLDER.fullmatch(version)
    assert found is not None  # noqa: S101 - the pattern of the path
    place: Path = site.results.place(uid, int(found[1]), found[2])
    try:
        yield ViewerFolder(place)
    except FileNotFoundError:
        if place.is_dir():
            raise HTTPException(404, "no such volume") from None
        row = site.index.study(uid)
        if row is None or row.decided_revision is None or int(found[1]) > row.decided_revision:
            raise HTTPException(404, "no such decision") from None
        raise HTTPException(410, "the files of this decision were removed") from None
    except (DamagedVolume, OSError) as error:
        log.warning("viewer.not_readable", study=study_hash(uid), error=type(error).__name__)
        raise HTTPException(503, "the files cannot be read now", {"Retry-After": str(AGAIN_S)}) from error
