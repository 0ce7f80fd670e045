"""The page as a parser sees it: complete, accessible, without network, and safe whatever texts and labels say."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import numpy as np
import pytest
from made_up import HOSTILE, answers, mistakes_of, run_facts
from parsed_page import Node, parsed

from ulmfit_jax import LanguageModel
from ulmfit_jax.data import TextDataset
from ulmfit_jax.inference.explain import Explanation
from ulmfit_jax.report.elements import as_html, clean, element
from ulmfit_jax.report.mistakes import best_window, most_confident
from ulmfit_jax.report.page import run_page
from ulmfit_jax.report.remarks import remarks
from ulmfit_jax.report.seeds_page import seeds_page

CLASSES = ("negative", "positive")


def page_of(folder: Path, classes: tuple[str, ...] = CLASSES, count: int = 300, name: str = "test") -> tuple[str, Node]:
    answered = answers(classes, count, name=name)
    text = run_page(run_facts(folder, answered, classes), mistakes_of(answered))
    return text, parsed(text)


def section(page: Node, name: str) -> Node:
    (found,) = page.all("section", id=name)
    return found


def cells(table: Node) -> list[list[str]]:
    return [[cell.said for cell in row.children] for row in table.all("tr")]


def test_everything_is_there_in_the_order_of_the_questions(tmp_path: Path) -> None:
    _, page = page_of(tmp_path)
    sections = [found.attributes["id"] for found in page.all("section") if "id" in found.attributes]
    wanted = ["baseline", "confusion", "classes", "trust", "mistakes", "training", "data", "time", "done"]
    assert sections == wanted
    assert [link.attributes["href"] for link in page.all("nav")[0].all("a")] == [f"#{name}" for name in wanted]
    assert (
        "Measured on 300 test texts. Trained on 108 labelled texts, from wikipedia-small-forward, seed 3" in page.said
    )
    assert "ulmfit train reviews.csv --test held-out.csv --out run" in section(page, "done").said
    assert "2 of the test texts are also among the training texts" in page.said
    assert "Words on blue speak for the answer" in section(page, "mistakes").said
    assert "Unknown words: " in section(page, "data").said
    assert len(section(page, "mistakes").all("ol")[0].children) == 10
    assert len(page.all("svg", role="img")) == 2 + 4 + 1


def test_figures_are_those_of_the_answers(tmp_path: Path) -> None:
    answered = answers(CLASSES, 300)
    _, page = page_of(tmp_path)
    accuracy = float((answered.probabilities.argmax(axis=1) == answered.truth).mean())
    assert page.all("p", **{"class": "figure"})[0].said == f"{accuracy:.1%}"
    matrix = cells(section(page, "confusion").all("table")[0])
    counts = [[int(re.match(r"\d+", cell)[0]) for cell in row[1:3]] for row in matrix[1:]]  # type: ignore[index]
    assert counts == answered.confusion.tolist()
    by_class = cells(section(page, "classes").all("table")[0])
    assert by_class[2][0] == "positive"
    assert by_class[2][3] == f"{answered.scores.precision[1]:.1%}"
    assert by_class[2][6] == f"{answered.baseline_scores.f1[1]:.1%}"
    assert f"Expected calibration error {answered.calibration.error:.1%}" in section(page, "trust").said
    times = dict(row[:2] for row in cells(section(page, "time").all("table")[0]))
    assert (times["lm"], times["head"], times["test"]) == ("9 min", "30.1 s", "3.2 s")


def test_the_surest_mistakes_come_first(tmp_path: Path) -> None:
    answered = answers(CLASSES, 300)
    found = most_confident(answered, None, 4)
    wrong = sorted(answered.confidence[~answered.right], reverse=True)[:4]
    assert [mistake.confidence for mistake in found] == pytest.approx(wrong)
    for mistake in found:
        assert answered.data.texts[mistake.number - 1] == mistake.text
        assert mistake.truth != mistake.answer
        assert mistake.probability < mistake.confidence


def test_of_a_long_text_the_important_words_are_shown() -> None:
    weights = np.zeros(500)
    weights[[200, 260]] = 1
    assert best_window(weights.tolist(), 80) == 181
    assert best_window([1.0] * 80, 80) == best_window([], 80) == 0


@pytest.mark.parametrize("classes", [CLASSES, tuple(map(str, range(30)))], ids=["two", "thirty"])
def test_people_who_do_not_see_the_page_can_read_it(classes: tuple[str, ...], tmp_path: Path) -> None:
    _, page = page_of(tmp_path, classes)
    assert page.all("html")[0].attributes["lang"] == "en"
    assert len(page.all("title")) >= 1
    assert len(page.all("h1")) == len(page.all("main")) == 1
    identities = [
        node.attributes["id"]
        for tag in ("section", "title", "desc")
        for node in page.all(tag)
        if "id" in node.attributes
    ]
    assert len(identities) == len(set(identities))
    for drawing in page.all("svg", role="img"):
        for name in drawing.attributes["aria-labelledby"].split():
            assert name in identities
        assert drawing.all("title")[0].said.strip()
    for table in page.all("table"):
        assert table.all("caption")[0].said.strip()
        rows = table.all("tr")
        assert all(cell.attributes["scope"] == "col" for cell in rows[0].children)
        assert all(row.children[0].tag == "th" and row.children[0].attributes["scope"] == "row" for row in rows[1:])
        assert {len(row.children) for row in rows} == {len(rows[0].children)}


def test_the_page_needs_and_runs_nothing(tmp_path: Path) -> None:
    text, page = page_of(tmp_path)
    for tag in ("script", "link", "img", "iframe", "object"):
        assert not page.all(tag)
    assert "http" not in re.sub("http-equiv", "", text)
    assert "url(" not in text
    assert "@import" not in text
    (policy,) = page.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert policy.attributes["content"].startswith("default-src 'none'")
    assert "prefers-color-scheme: dark" in page.all("style")[0].said


def test_hostile_labels_and_texts_are_text(tmp_path: Path) -> None:
    classes = (HOSTILE, "</style><b>")
    answered = answers(classes, 60)
    answered.data.texts[:] = [f"{HOSTILE} {text}" for text in answered.data.texts]  # type: ignore[index]
    facts = run_facts(tmp_path, answered, classes)
    text = run_page(facts, mistakes_of(answered))
    page = parsed(text.encode("utf-8").decode("utf-8"))
    assert not page.all("script")
    assert not page.all("b")
    assert not any(name.startswith("on") for node in page.all("td") + page.all("span") for name in node.attributes)
    shown = "</title><script>alert('1')</script>&amp;\"\ufffd\ufffd\u202e"
    names = [node.said for node in section(page, "classes").all("bdi")]
    assert names == [shown, "</style><b>"]
    assert clean(HOSTILE) == shown
    assert shown in section(page, "mistakes").said


def test_a_run_that_measured_nothing_says_so(tmp_path: Path) -> None:
    page = parsed(run_page(run_facts(tmp_path, None, CLASSES)))
    assert "Nothing was measured" in page.said
    assert [found.attributes["id"] for found in page.all("section") if "id" in found.attributes] == [
        "training",
        "data",
        "time",
        "done",
    ]


def test_validation_is_called_so_and_few_texts_are_said(tmp_path: Path) -> None:
    _, page = page_of(tmp_path, count=12, name="validation")
    said = page.all("section", **{"class": "remarks"})[0].said
    assert "Measured on 12 texts held out of training" in page.said
    assert "give --test" in said
    assert "12 texts say little" in said
    assert "also among the training texts" not in said


def test_texts_that_the_shipped_model_hardly_knows_are_remarked_on(tmp_path: Path) -> None:
    facts = run_facts(tmp_path, None, CLASSES)
    assert not [remark for remark in remarks(facts) if "hardly knows" in remark]
    german = ["Das Buch erzählt die Geschichte einer Familie, deren Schicksal über drei Generationen hinweg fesselt."]
    artifact = dataclasses.replace(facts.artifact, tokenizer=LanguageModel("wikipedia-small-forward").tokenizer)
    data = TextDataset(german * 40, ["positive"] * 40, "reviews")
    (said,) = remarks(dataclasses.replace(facts, artifact=artifact, data=data))
    assert re.match(r"The labelled texts have \d\.\d pieces a word: wikipedia-small-forward, which reads English", said)


@pytest.mark.parametrize(("count", "is_said"), [(40, False), (1000, True)])
def test_probabilities_are_called_too_high_where_chance_does_not_explain_it(
    count: int, is_said: bool, tmp_path: Path
) -> None:
    """88 % sure and 80 % right: of 40 texts as many may be right by chance."""
    answered = answers(CLASSES, count)
    right = np.arange(count) % 5 > 0
    answered.probabilities[:] = np.where(np.eye(2)[np.where(right, answered.truth, 1 - answered.truth)] > 0, 0.88, 0.12)
    said = [remark for remark in remarks(run_facts(tmp_path, answered, CLASSES)) if "Its probabilities" in remark]
    assert [remark.startswith("Its probabilities are too high: on average it is 88%") for remark in said] == [
        True
    ] * is_said


def test_the_epoch_that_was_kept_is_named_with_its_figures(tmp_path: Path) -> None:
    answered = answers(CLASSES, 300, name="test")
    facts = run_facts(tmp_path, answered, CLASSES)
    said = "Classifier: what was kept is the model after "
    assert said not in run_page(facts, mistakes_of(answered))
    best = {"stage": "last two groups", "epoch": 0, "step": 1057, "valid_loss": 0.25, "error_rate": 0.125}
    facts.artifact.provenance["best_epoch"] = best
    shown = section(parsed(run_page(facts, mistakes_of(answered))), "training").said
    where = "epoch 1 of last two groups, training step 1,057"
    assert f"{said}{where}: held-out loss 0.2500, held-out error 12.5%." in shown
    del best["stage"]  # as runs from before it
    assert f"{said}training step 1,057" in run_page(facts, mistakes_of(answered))


def test_perfect_answers_have_no_mistakes(tmp_path: Path) -> None:
    answered = answers(CLASSES, 40, baseline=False)
    answered.probabilities[:] = np.eye(2, dtype=np.float32)[answered.truth]
    page = parsed(run_page(run_facts(tmp_path, answered, CLASSES), mistakes_of(answered)))
    assert "There are none: every answer is right." in page.said
    assert "it finds no words" in page.said
    assert page.all("p", **{"class": "figure"})[0].said == "100.0%"


def test_a_class_that_is_never_answered_is_a_remark_and_a_dash(tmp_path: Path) -> None:
    answered = answers(("a", "b", "c"), 90)
    answered.probabilities[:, 2] = 0
    page = parsed(run_page(run_facts(tmp_path, answered, ("a", "b", "c")), mistakes_of(answered)))
    assert "Never answered: “c”." in page.all("section", **{"class": "remarks"})[0].said
    assert cells(section(page, "classes").all("table")[0])[3][3] == "–"


def test_a_mistake_without_words_is_shown(tmp_path: Path) -> None:
    answered = answers(CLASSES, 60)
    answered.data.texts[:] = [""] * 60  # type: ignore[index]
    empty = Explanation((), np.zeros(0, np.float32), "positive", 0.9, "gradient")
    mistakes = most_confident(answered, lambda text, label: empty)
    page = parsed(run_page(run_facts(tmp_path, answered, CLASSES), mistakes))
    assert "(an empty text)" in section(page, "mistakes").said


def test_elements_escape_attributes_and_text() -> None:
    made = element("p", ["a < b", None, element("b", "&"), " c"], title='"<', style=None, x=1.5, class_="k")
    assert as_html(made) == '<p title="&quot;<" x="1.5" class="k">a &lt; b<b>&amp;</b> c</p>'


def test_seeds_have_a_row_and_a_link_each() -> None:
    runs = [
        {"seed": seed, "model": f"/tmp/run/seed-{seed}/model", "test": {"error": error}}
        for seed, error in ((3, 0.1), (4, 0.2))
    ]
    spread = {"error": 0.15, "error_sd": 0.0707, "error_min": 0.1, "error_max": 0.2}
    summary = {"seeds": [3, 4], "runs": runs, "test": spread, "baseline": {"name": "TF-IDF", "error": 0.3}}
    page = parsed(seeds_page(summary, "ulmfit train <x> --seeds 2"))
    links = [link.attributes["href"] for link in page.all("a")]
    assert links == ["seed-3/report.html", "seed-4/report.html"]
    rows = cells(page.all("table")[0])
    assert rows[1:] == [
        ["seed 3", "10.00%"],
        ["seed 4", "20.00%"],
        ["mean", "15.00%"],
        ["standard deviation", "7.07%"],
        ["smallest", "10.00%"],
        ["largest", "20.00%"],
    ]
    assert "TF-IDF on the same test texts: 30.00%" in page.said
    assert "ulmfit train <x> --seeds 2" in page.said
    assert "also among" not in page.said
    flattered = parsed(seeds_page({**summary, "test": {**spread, "also_in_training": 2}}, "ulmfit train"))
    assert "2 of the test texts are also among the training texts: the figures flatter." in flattered.said
    nothing = parsed(seeds_page({"seeds": [3, 4], "runs": runs}, "ulmfit train"))
    assert "Nothing was measured" in nothing.said
    assert [link.attributes["href"] for link in nothing.all("a")] == links
