"""Worklist entries and documents in, HTML out.

Pure: the templates escape every value; no script in the page, no asset of another site.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from listener.web import study_figures, study_page, trend
from listener.web.frame import NOBODY, PageFrame
from listener.web.study_page import ALONE, Around
from workers.plain_text import without_hidden

FOLDER = Path(__file__).parent
STATIC = FOLDER / "static"
STYLE = STATIC / "style.css"
CAUTION = "Triage aid, not a diagnosis. A study without a pattern is not a study without disease."
REFRESH_S = 10


def render(template: str, frame: PageFrame, **values: Any) -> str:
    """One template with its frame and its values."""
    page = _templates().get_template(template).render(frame=frame, caution=CAUTION, refresh_s=REFRESH_S, **values)
    return without_hidden(page)


def part(template: str, **values: Any) -> str:
    """A part of a page, without its frame."""
    return without_hidden(_templates().get_template(template).render(**values))


def study(document: Mapping[str, Any], *, has_picture: bool, around: Around = ALONE, frame: PageFrame = NOBODY) -> str:
    """One decision of a study: pictures, patterns, figures, and what it rests on.

    Args:
        around: what is known beside the document.
    """
    return render("study.html", frame, has_picture=has_picture, **study_page.values(document, around))


def sign_in(
    frame: PageFrame, *, wanted: str, name: str, locked: bool, error: str | None, provider: str | None = None
) -> str:
    """The form of the sign-in. wanted: the path that is shown afterwards. locked: the session of ``name`` is there
    still. provider: what the link to the identity provider says; None: there is none."""
    values = {"wanted": wanted, "name": name, "locked": locked, "error": error, "provider": provider}
    return render("login.html", frame, **values)


def not_possible(frame: PageFrame, status: int, why: str, *, back: str = "/") -> str:
    """Why there is no page. back: the path of the page whose form was sent."""
    return render("refusal.html", frame, status=status, why=why, back=back)


@cache
def _templates() -> Environment:
    made = Environment(
        loader=FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        dash=_text,
        spaced=_spaced,
        json_text=_json_text,
        number=_number,
        figure=_figure,
        baseline=_baseline,
        colour=_colour,
        point=trend.words,
        drawing=_drawing,
        drawn=_drawn,
        region=study_figures.region_words,
        quantity=study_figures.quantity_title,
    )
    return made


def _drawn(svg: str) -> Markup:
    return Markup(svg)  # noqa: S704 - of listener.web.patient, which escapes the texts


def _baseline(baseline: Mapping[str, Any] | None) -> str:
    if not baseline or not baseline.get("study_instance_uid"):
        return "Baseline: none" + (f" ({_text(baseline['reason'])})" if baseline else "")
    return f"Baseline of {_text(baseline['study_date'])}: {_text(baseline['reason'])}"


def _drawing(series: Mapping[str, Any]) -> Markup:
    return Markup(trend.svg(series))  # noqa: S704 - trend.svg escapes the texts of the series itself


def _figure(m: Mapping[str, Any]) -> str:
    if not m["assessable"]:
        return f"not assessable: {_text(m['reason'])}"
    spread = f" ± {_number(m['uncertainty'])}" if m["uncertainty"] is not None else ""
    return f"{_number(m['value'])}{spread} {_text(m['unit'])}"


def _number(value: Any) -> str:
    return "–" if value is None else f"{float(value):.4g}"


def _spaced(value: Any) -> str:
    return _text(value).replace("_", " ")


def _json_text(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False, default=str)


def _text(value: Any) -> str:
    return "–" if value is None or value == "" else str(value)


def _colour(priority: Any) -> str:
    return str(priority).lower() if priority in ("P1", "P2", "P3") else "plain"
