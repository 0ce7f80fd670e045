"""The page of a classifier whose texts may have several labels, and the curve of the learning-rate finder."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from made_up import LABELS, label_answers, label_page
from parsed_page import Node, parsed

from ulmfit_jax.report.label_results import label_remarks, surest_label_mistakes
from ulmfit_jax.report.measures import label_scores


def section(page: Node, name: str) -> Node:
    (found,) = page.all("section", id=name)
    return found


def test_the_page_has_what_such_a_classifier_needs(tmp_path: Path) -> None:
    answered = label_answers()
    page = parsed(label_page(tmp_path, answered))
    sections = [found.attributes["id"] for found in page.all("section") if "id" in found.attributes]
    assert sections == ["baseline", "classes", "trust", "mistakes", "training", "data", "time", "done"]
    figures = [found.said for found in page.all("p", **{"class": "figure"})]
    assert figures[0] == f"{answered.figures['micro_f1']:.1%}"
    assert figures[2] == f"{answered.whole.mean():.1%}"
    assert "Always “food” alone" in section(page, "baseline").said
    assert "labels of texts" in section(page, "trust").said
    assert "nats per label of a text" in section(page, "training").said
    assert "Learning-rate finder" in section(page, "training").said
    assert "valley 2.0e-03" in section(page, "training").said
    rows = section(page, "data").all("table")[0].all("tr")
    assert rows[1].children[1].said == str(
        sum("food" in names for names in label_answers(120, 5).data.label_sets or ())
    )


def test_scores_of_labels_are_their_definitions() -> None:
    answered = label_answers(50)
    given, truth = answered.predicted[:, 1], answered.truth[:, 1] > 0
    scores = label_scores(answered.predicted, answered.truth)
    assert scores.precision[1] == (given & truth).sum() / given.sum()
    assert scores.recall[1] == (given & truth).sum() / truth.sum()
    assert (scores.support[1], scores.answered[1]) == (truth.sum(), given.sum())
    np.testing.assert_array_equal(answered.right.reshape(50, -1)[:, 1], given == truth)


def test_mistakes_name_the_surest_label_of_each_text() -> None:
    answered = label_answers()
    mistakes = surest_label_mistakes(answered, None)
    assert len({mistake.number for mistake in mistakes}) == len(mistakes) == 10
    for mistake in mistakes:
        names = (answered.data.label_sets or ())[mistake.number - 1]
        assert (mistake.answer in names) == (mistake.kind == "missed")
        assert (mistake.probability > 0.5) == (mistake.kind == "given")
    confidences = [mistake.confidence for mistake in mistakes]
    assert confidences == sorted(confidences, reverse=True)


def test_remarks_name_what_to_know() -> None:
    answered = label_answers()
    never = answered.probabilities.copy()
    never[:, -1] = 0.1
    said = list(label_remarks(dataclasses.replace(answered, probabilities=never)))
    assert f"Never given, for no text: “{LABELS[-1]}”." in said
    without = label_answers(baseline=False, name="validation")
    assert [sentence for sentence in label_remarks(without) if "TF-IDF" in sentence] == []
    assert any("give --test" in sentence for sentence in label_remarks(without))
