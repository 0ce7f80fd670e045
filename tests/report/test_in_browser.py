"""The report in a real browser: nothing overflows, nothing is loaded, light and dark differ."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from made_up import HOSTILE, answers, label_page, mistakes_of, run_facts

from ulmfit_jax.report.page import run_page

CLASSES = {
    "two": ("negative", "positive"),
    "long": ("W" * 90, HOSTILE, *(f"a class with quite a long name {number}" for number in range(8))),
    "thirty": tuple(f"class {number}" for number in range(30)),
}

BEYOND = """() => [...document.querySelectorAll("body *")]
  .filter(e => !e.closest(".scroll *") && !e.closest("svg *") && e.getBoundingClientRect().right > innerWidth + 1)
  .map(e => e.outerHTML.slice(0, 80))"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium, as Playwright has installed it or as the system has it."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: '.[browser]'")
    own = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with playwright.sync_playwright() as running:
        try:
            opened = running.chromium.launch(executable_path=own, args=["--no-sandbox"])
        except playwright.Error as error:
            pytest.skip(f"no Chromium can be started: {str(error).splitlines()[0]}")
        yield opened
        opened.close()


@pytest.mark.parametrize("name", [*CLASSES, "several"])
def test_nothing_overflows_and_nothing_is_loaded(browser: Any, name: str, tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    if name == "several":
        file.write_text(label_page(tmp_path), "utf-8")
    else:
        answered = answers(CLASSES[name], 120)
        file.write_text(run_page(run_facts(tmp_path, answered, CLASSES[name]), mistakes_of(answered)), "utf-8")
    grounds, said = {}, []
    for scheme in ("light", "dark"):
        for width in (400, 1400):
            page = browser.new_page(color_scheme=scheme, viewport={"width": width, "height": 900})
            page.on("console", lambda message: said.append(message.text))
            page.on("request", lambda request: said.append(request.url))
            page.goto(file.as_uri())
            assert page.evaluate("document.documentElement.scrollWidth") == width
            assert page.evaluate(BEYOND) == []
            grounds[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
            page.close()
    assert set(said) == {file.as_uri()}
    assert grounds["light"] != grounds["dark"]
