"""The page in a real browser without a window: answers, colours, files, keyboard, hostile text, widths, light and dark.

Needs playwright, and Chromium in its place or on the path.
"""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hostile import HOSTILE

from ulmfit_jax import TextClassifier

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright, which drives a browser, is not installed")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
        try:
            browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        except sync_api.Error as error:
            pytest.skip(f"no browser can be started: {str(error).splitlines()[0]}")
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """The page, with everything that the browser complains of and everything that it asks elsewhere."""
    context = browser.new_context(accept_downloads=True)
    page = context.new_page()
    page.set_default_timeout(120_000)
    complaints: list[str] = []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    page.on("request", lambda request: _own(request.url, address) or complaints.append(request.url))
    page.goto(address)
    page.wait_for_selector("html[data-ready=all]")
    yield page
    refusals = [text for text in complaints if "Failed to load resource" not in text]  # of requests meant to fail
    context.close()
    assert refusals == []


def _own(url: str, address: str) -> bool:
    return url.startswith((address, f"blob:{address}"))


def test_a_text_is_answered_with_the_keyboard_alone(page: Any, classifier: TextClassifier) -> None:
    assert page.evaluate("document.activeElement.id") == "text"
    page.keyboard.type("The kettle was lovely.")
    page.keyboard.press("Control+Enter")
    page.wait_for_selector("#explanation:visible")
    assert page.inner_text("#label") == classifier.predict("The kettle was lovely.")
    shown = dict(
        zip(page.locator("#bars th").all_inner_texts(), page.locator("#bars td.number").all_inner_texts(), strict=True)
    )
    probabilities = classifier.predict_proba("The kettle was lovely.")[0]
    assert shown == {
        label: f"{100 * float(p):.1f} %" for label, p in zip(classifier.classes_, probabilities, strict=True)
    }
    explained = classifier.explain("The kettle was lovely.")
    assert page.locator("#words span").all_inner_texts() == list(explained.words)
    strongest = explained.words[int(abs(explained.importances).argmax())]
    coloured = page.locator("#words .strong").all_inner_texts()
    assert strongest in coloured
    colour = page.locator("#words .strong").first.evaluate("element => getComputedStyle(element).backgroundColor")
    assert colour not in ("rgba(0, 0, 0, 0)", "transparent")
    assert "Most for it" in page.inner_text("#strongest")
    widths = page.locator(".bar").evaluate_all("bars => bars.map(bar => bar.getBoundingClientRect().width)")
    assert widths == sorted(widths, reverse=True)
    assert widths[0] > 1


def test_another_label_is_explained(page: Any, classifier: TextClassifier) -> None:
    page.fill("#text", "The kettle was lovely.")
    page.select_option("#wanted", "bad")
    page.click("#one button")
    page.wait_for_selector("#explanation:visible")
    assert page.inner_text("#explained") == "bad"


def test_hostile_text_stays_text(page: Any, address: str) -> None:
    assert page.inner_text("#model") == "tiny <i>one</i>"
    title = page.title()
    page.fill("#text", HOSTILE)
    page.click("#one button")
    page.wait_for_selector("#explanation:visible")
    assert "<img" in page.inner_text("#words")
    assert page.locator("main img, main i, #words script").count() == 0
    assert page.title() == title


def test_a_refusal_is_shown_and_the_page_goes_on(page: Any) -> None:
    page.fill("#text", "a " * 1_501)
    page.click("#one button")
    page.wait_for_selector("#one-error:not(:empty)")
    assert page.inner_text("#one-error") == "there are 3,002 characters: send at most 3,000 at a time"
    page.fill("#text", "")
    page.click("#one button")
    page.wait_for_selector("#answer:visible")
    assert page.inner_text("#one-error") == ""


def test_a_file_becomes_a_table_to_download(page: Any, classifier: TextClassifier, tmp_path: Path) -> None:
    texts = ["The kettle was lovely.", 'Quoted "bus", gloomy', HOSTILE, "", *(f"umbrella {n}" for n in range(7))]
    with (tmp_path / "texts.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["body of text"], *([text] for text in texts), ["long " * 700]])
    page.set_input_files("#file", tmp_path / "texts.csv")
    page.click("#start")
    page.wait_for_selector("#many-error:not(:empty)")
    assert "no column with a usual name for the text" in page.inner_text("#many-error")
    page.fill("#column", "body of text")
    page.click("#start")
    page.wait_for_selector("#answers:visible")
    assert page.inner_text("#done") == "11 of 12 texts answered; 1 longer than 3000 characters left out."
    page.set_viewport_size({"width": 400, "height": 900})
    lines = "cell => cell.getClientRects().length && cell.clientHeight / parseFloat(getComputedStyle(cell).lineHeight)"
    assert page.locator("#answers th").nth(1).evaluate(lines) < 2  # a column's name is not broken into letters
    assert page.evaluate("document.documentElement.scrollWidth") <= 400
    labels = classifier.predict(texts).tolist()
    assert page.locator("#rows tr td:nth-child(2)").all_inner_texts() == labels
    assert page.locator("main img").count() == 0
    with page.expect_download() as download:
        page.click("#download")
    content = Path(download.value.path()).read_bytes().decode("utf-8-sig")
    rows = list(csv.DictReader(io.StringIO(content, newline="")))
    assert [(row["text"], row["label"]) for row in rows] == list(zip(texts, labels, strict=True))
    probabilities = classifier.predict_proba(texts)
    assert [float(row["probability of good"]) for row in rows] == pytest.approx(probabilities[:, 1].tolist(), abs=1e-6)


def test_one_file_at_a_time_and_what_was_answered_before_a_stop_stays(page: Any, tmp_path: Path) -> None:
    limit = page.evaluate("fetch('/api/model').then((reply) => reply.json()).then((model) => model.limits.texts)")
    texts = [f"umbrella {number}" for number in range(limit + 1)]  # two portions
    (tmp_path / "texts.txt").write_text("\n".join(texts) + "\n", "utf-8")
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url.split("/api/")[-1].split("?")[0]))
    second: list[Any] = []
    page.route("**/api/predict", lambda route: second.append(route) if "predict" in sent[:-1] else route.continue_())
    page.set_input_files("#file", tmp_path / "texts.txt")
    page.evaluate("for (const _ of [1, 2]) document.getElementById('many').requestSubmit()")
    page.locator("#rows tr").nth(limit - 1).wait_for(state="attached")
    page.focus("#column")
    page.keyboard.press("Enter")
    page.click("#stop")
    page.wait_for_selector("#start:visible")
    assert page.inner_text("#done").startswith(f"{limit} of {limit + 1} texts answered")
    assert page.inner_text("#many-error") == ""
    assert page.locator("#download").is_visible()
    assert sent == ["texts", "predict", "predict"]


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_can_be_read_in_any_width_light_and_dark(page: Any, scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    page.fill("#text", "The kettle was lovely and the umbrella was dreadful. " + "x" * 300)
    page.click("#one button")
    page.wait_for_selector("#explanation:visible")
    for width in (400, 800, 1_400):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    ratios = page.evaluate(_CONTRASTS)
    assert len(ratios) > 20
    assert min(ratio for ratio, _ in ratios) >= 4.5, sorted(ratios)[:3]


def test_every_field_has_a_name_and_focus_is_seen(page: Any) -> None:
    fields = page.locator("textarea, select, input, button")
    for index in range(fields.count()):
        name = fields.nth(index).evaluate(
            "field => (field.labels?.[0]?.textContent || field.getAttribute('aria-label') || field.textContent).trim()"
        )
        assert name
    page.focus("#text")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "wanted"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_the_reference_page_in_the_browser(page: Any, address: str) -> None:
    page.goto(f"{address}/docs")
    assert "POST /api/predict" in page.inner_text("main")
    page.set_viewport_size({"width": 400, "height": 900})
    assert page.evaluate("document.documentElement.scrollWidth") <= 400


# WCAG's contrast of every piece of text with what is behind it, layers of colour blended.
_CONTRASTS = """() => {
  const parse = (colour) => {
    const [red, green, blue, alpha = 1] = colour.match(/[\\d.]+/g).map(Number);
    return { red, green, blue, alpha };
  };
  const over = (top, bottom) => Object.fromEntries(["red", "green", "blue"].map(
    (part) => [part, top[part] * top.alpha + bottom[part] * (1 - top.alpha)]));
  const luminance = (colour) => {
    const [r, g, b] = ["red", "green", "blue"].map((part) => colour[part] / 255)
      .map((value) => (value <= 0.03928 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = (element) => {
    const layers = [];
    for (let place = element; place; place = place.parentElement) layers.push(getComputedStyle(place).backgroundColor);
    return layers.reverse().map(parse).reduce((bottom, top) => over(top, bottom), { red: 255, green: 255, blue: 255 });
  };
  return [...document.querySelectorAll("body *")]
    .filter((element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
    .filter((element) => element.checkVisibility() && element.tagName !== "OPTION" && element.tagName !== "NOSCRIPT")
    .map((element) => {
      const back = behind(element);
      const ink = over(parse(getComputedStyle(element).color), back);
      const [light, dark] = [luminance(ink), luminance(back)].sort((one, other) => other - one);
      return [(light + 0.05) / (dark + 0.05), element.outerHTML.slice(0, 80)];
    });
}"""
