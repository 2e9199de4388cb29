"""The page of a study in a real browser: linked views, outlines, jumps, sides, keys, without scripts, hostile text."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from playwright.sync_api import Browser, Page

from tests.listener.web.browser.conftest import Served, sideways_px, violations
from tests.listener.web.stored import StoredStudy, a_document
from tests.listener.web.test_pages import with_text
from tests.patience import PATIENCE_S
from tests.workers.outputs.evidence.evidence_builders import ORIENTATIONS, an_outcome
from tests.workers.outputs.evidence.test_volumes import with_series
from workers.container import open_results

pytestmark = pytest.mark.server

UID, TEXT_UID = "1.2.8.1", "1.2.8.2"
HOSTILE = "<img src=x onerror=window.hit=1></script><script>window.hit=1</script>"
TEXTS = ("series", "measurements", "findings", "lesions", "look_alikes", "notices", "baseline_report", "versions")
THALAMUS = {"region": "thalamus_left", "quantity": "flair_change_percent", "value": 24.8, "unit": "%",
            "uncertainty": 1.1, "baseline_value": 1.0, "assessable": True, "reason": None}  # fmt: skip
LESION = {"number": 2, "kind": "new", "site": "white_matter_left", "volume_ml": 1.4, "centre_lps_mm": [30, 0, 12],
          "change_percent": 31.0, "enhancing_volume_ml": 0.0, "prior_injury_mm": None}  # fmt: skip
FIGURES = [THALAMUS, THALAMUS | {"region": "pons", "value": 12.0}, THALAMUS | {"region": "medulla", "value": 2.0}]
WHITE, BLUE = (255, 255, 255), (0x56, 0xC7, 0xFF)  # the outline of the thalami


@pytest.fixture(scope="module")
def viewed(served: Served) -> Served:
    """The application with a study whose volumes are there: a bright rod on the left, in front; sagittal FLAIR."""
    study = StoredStudy(UID, "MRN-2001", changes={"measurements": FIGURES, "lesions": [LESION]})
    served.store(study)
    outcome = with_series(an_outcome(np.asarray(ORIENTATIONS["sagittal"])))
    open_results(served.settings).write(UID, 1, outcome, served.index.assessment(UID))
    hostile = StoredStudy(TEXT_UID, HOSTILE, reasons=(HOSTILE,))
    texts = with_text({key: a_document(hostile)[key] for key in TEXTS}, HOSTILE)
    served.store(replace(hostile, changes=texts))
    return served


def opened(page: Page, uid: str = UID) -> Page:
    page.goto(f"/studies/{uid}")
    wait_for(page, "state", "ready")
    return page


def wait_for(page: Page, key: str, value: str) -> None:
    wait_until(lambda: facts(page)[key] == value)


def wait_until(holds: Callable[[], bool]) -> None:
    """By polling: a wait inside the page needs eval, which the page forbids."""
    end = time.monotonic() + PATIENCE_S
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)


def facts(page: Page) -> dict[str, str]:
    """What the viewer says of itself: state, slice, plane."""
    found: dict[str, str] = page.evaluate("({...document.getElementById('viewer').dataset})")
    return found


def found(page: Page, volume: str, colour: tuple[int, int, int], within: int) -> tuple[int, float, float]:
    """How many pixels of a canvas have a colour, and their middle as shares of its height and width."""
    number, row, column = page.evaluate(
        """async ([name, colour, within]) => {
          await new Promise(requestAnimationFrame);
          await new Promise(requestAnimationFrame);
          const c = document.querySelector(`figure[data-volume=${name}] canvas`);
          const {data} = c.getContext('2d').getImageData(0, 0, c.width, c.height);
          let number = 0, row = 0, column = 0;
          for (let at = 0; at < data.length; at += 4) {
            if (colour.some((value, n) => Math.abs(data[at + n] - value) > within)) continue;
            number += 1; row += Math.floor(at / 4 / c.width); column += (at / 4) % c.width;
          }
          return [number, row / number / c.height, column / number / c.width];
        }""",
        [volume, colour, within],
    )
    return int(number), row or 0.0, column or 0.0


def rod(page: Page, volume: str) -> tuple[float, float]:
    """Where the bright rod is seen, as soon as it is: shares of the height and of the width."""
    wait_until(lambda: found(page, volume, WHITE, 4)[0] > 100)
    return found(page, volume, WHITE, 4)[1:]


@pytest.mark.parametrize("volume", ["followup", "baseline"])
def test_left_is_left(page: Page, viewed: Served, volume: str) -> None:
    """Radiological convention: the patient's left is on the right of the picture, in front is up."""
    opened(page)
    page.get_by_role("button", name="left thalamus").click()
    row, column = rod(page, "followup")
    assert row < 0.45
    assert column > 0.6
    canvas = page.locator("figure[data-volume=followup] canvas")
    box = canvas.bounding_box()
    assert box is not None
    canvas.click(position={"x": column * box["width"], "y": row * box["height"]})  # this point in all planes
    for key, plane, side in (("1", "axial", "the patient's right"), ("2", "coronal", "the patient's right"),
                             ("3", "sagittal", "the front")):  # fmt: skip
        page.keyboard.press(key)
        wait_for(page, "plane", plane)
        row, column = rod(page, volume)
        assert (column < 0.45) if plane == "sagittal" else (column > 0.6), plane
        label = page.locator(f"figure[data-volume={volume}] canvas").get_attribute("aria-label")
        assert label is not None
        assert f"{side} on the left" in label


def test_all_pictures_show_the_same_slice(page: Page, viewed: Served) -> None:
    opened(page)
    before, first = found(page, "baseline", WHITE, 80), int(facts(page)["slice"])
    for _ in range(9):
        page.keyboard.press("k")
    page.keyboard.press("j")
    wait_for(page, "slice", str(first + 8))
    labels = page.locator("#viewer canvas").evaluate_all("all => all.map(one => one.getAttribute('aria-label'))")
    assert len(labels) == 10
    assert all(f"axial slice {first + 8} of" in label for label in labels), labels
    wait_until(lambda: found(page, "baseline", WHITE, 80) != before)
    page.get_by_role("slider", name="Slice").focus()
    page.keyboard.press("ArrowRight")
    wait_for(page, "slice", str(first + 9))


def blue(page: Page) -> int:
    return found(page, "followup", BLUE, 30)[0]


def test_outlines_come_and_go(page: Page, viewed: Served) -> None:
    opened(page)
    page.get_by_role("button", name="left thalamus").click()
    page.keyboard.press("x")
    wait_until(lambda: blue(page) > 50)
    page.keyboard.press("o")
    wait_until(lambda: blue(page) == 0)
    page.get_by_role("checkbox", name="regions", exact=False).first.check()
    wait_until(lambda: blue(page) > 50)


def test_a_number_and_a_lesion_lead_to_their_slices(page: Page, viewed: Served) -> None:
    opened(page)
    index = page.evaluate("JSON.parse(document.getElementById('viewer-index').textContent)")
    places = {one["name"]: one["place_mm"] for one in index["regions"]}
    step = index["frame"]["spacing_mm"][0]
    for name, place in (("pons", places["pons"]), ("lesion 2", index["masks"]["new_lesions"]["places_mm"]["2"])):
        page.get_by_role("button", name=name).click()
        wait_for(page, "slice", str(round(place[0] / step) + 1))
        assert page.locator("#said").inner_text().startswith(name)
    page.keyboard.press("e")
    assert page.locator("button[aria-current]").count() == 1


def test_every_key_of_the_viewer_is_listed(page: Page, viewed: Served) -> None:
    opened(page)
    page.keyboard.press("?")
    listed = page.get_by_role("dialog", name="Keys").inner_text()
    for word in ("slice down", "axial", "outlines", "lesions", "window", "zoom", "cross"):
        assert word in listed


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_no_rule_of_accessibility_is_broken(page: Page, axe: str, viewed: Served, theme: str) -> None:
    opened(page)
    page.get_by_label("Theme").select_option(theme)
    assert violations(page, axe) == []


def test_nothing_is_wider_than_a_telephone(page: Page, viewed: Served) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    opened(page)
    assert sideways_px(page) == 0


@pytest.fixture
def without_scripts(chromium: Browser, viewed: Served) -> Iterator[Page]:
    context = chromium.new_context(base_url=viewed.url, java_script_enabled=False)
    yield context.new_page()
    context.close()


def test_without_scripts_there_is_the_picture_and_the_table(without_scripts: Page) -> None:
    without_scripts.goto(f"/studies/{UID}")
    picture = without_scripts.get_by_alt_text("Baseline, follow-up and difference")
    assert picture.is_visible()
    assert picture.bounding_box()["height"] > 200  # type: ignore[index]
    assert not without_scripts.locator("#viewer").is_visible()
    assert without_scripts.get_by_text("+24.8 ± 1.1 %").is_visible()


def test_text_of_a_header_stays_text(page: Page, viewed: Served) -> None:
    page.goto(f"/studies/{TEXT_UID}")
    assert page.evaluate("window.hit") is None
    assert page.locator("img").count() == 0
    assert page.locator("main").inner_text().count(HOSTILE) > 10
