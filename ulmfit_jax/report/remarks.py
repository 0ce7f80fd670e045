"""What a person should know before trusting or shipping the model: drawn from the figures by fixed rules."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ulmfit_jax.counted import also_learnt, counted
from ulmfit_jax.foreign_text import foreign_text_note
from ulmfit_jax.report.class_remarks import class_remarks
from ulmfit_jax.report.facts import Answered, RunFacts
from ulmfit_jax.report.label_facts import AnsweredLabels
from ulmfit_jax.report.label_results import label_remarks
from ulmfit_jax.report.measures import share_interval

FEW_TEXTS = 200
"""Below this many texts, an accuracy of 90 % is known to no better than 4 points either way."""

_LARGE_GAP, _OVERFIT, _LONG, _UNKNOWN = 0.05, 1.1, 0.05, 0.03


def remarks(facts: RunFacts) -> list[str]:
    """Sentences, the weightiest first; none where there is nothing to say."""
    answered = facts.answered
    if isinstance(answered, AnsweredLabels):
        found = [*label_remarks(answered), *_about_test_texts(facts, answered), *_about_probabilities(answered)]
    else:
        found = list(_about_answers(facts, answered)) if answered else []
    return [*found, *_about_training(facts), *_about_data(facts)]


def _about_answers(facts: RunFacts, answered: Answered) -> Iterator[str]:
    accuracy = float(answered.right.mean())
    floor = float(np.bincount(answered.truth).max() / len(answered))
    if accuracy <= floor:
        yield f"It is no better than always answering the most frequent class ({floor:.1%})."
    if answered.baseline is not None and (better := float((answered.baseline == answered.truth).mean())) > accuracy:
        joined = "" if "ngrams" in facts.report else ", and --ngrams lets n-grams answer too"
        yield f"TF-IDF is better ({better:.1%} against {accuracy:.1%}) and takes seconds; more text may help{joined}."
    if answered.name == "validation":
        yield (
            "Measured on texts that were held out of training, not on a test set: give --test for figures "
            "that no choice was made by."
        )
    if len(answered) < FEW_TEXTS:
        yield few_texts(len(answered), int(answered.right.sum()))
    yield from _about_test_texts(facts, answered)
    yield from class_remarks(answered, "Never answered", "belongs to")
    yield from _about_probabilities(answered)


def _about_test_texts(facts: RunFacts, answered: Answered) -> Iterator[str]:
    if seen := facts.report.get("test", {}).get("also_in_training") if answered.name == "test" else 0:
        yield flattered(seen)


def flattered(seen: int) -> str:
    """What figures are worth where so many of the test texts, one at least, were learnt from."""
    return f"{also_learnt(seen)}: the figures flatter."


def few_texts(count: int, right: int) -> str:
    """What fewer than `FEW_TEXTS` texts are worth, of which so many are answered rightly."""
    low, high = share_interval(right, count)
    say = "says" if count == 1 else "say"
    return f"{counted(count, 'text')} {say} little: the accuracy may as well be {low:.0%} or {high:.0%} on others."


def _about_probabilities(answered: Answered) -> Iterator[str]:
    accuracy = float(answered.right.mean())
    low, high = share_interval(int(answered.right.sum()), len(answered.right))
    gap, by_chance = float(answered.confidence.mean() - accuracy), low <= answered.confidence.mean() <= high
    if answered.calibration.error > _LARGE_GAP and abs(gap) > _LARGE_GAP and not by_chance:
        yield (
            f"Its probabilities are {'too high' if gap > 0 else 'too low'}: on average it is "
            f"{answered.confidence.mean():.0%} sure and {accuracy:.0%} right; ulmfit calibrate "
            "mends that, on texts of their own."
        )


def _about_training(facts: RunFacts) -> Iterator[str]:
    for record in facts.trainings:
        losses = [loss for stage in record.stages for _, loss in stage.points("valid_loss")]
        if losses and losses[-1] > _OVERFIT * min(losses):
            yield (
                f"{record.name}: the loss on held-out texts has risen from {min(losses):.3f} to {losses[-1]:.3f}, a "
                "sign of over-fitting: fewer epochs may do better."
            )


def _about_data(facts: RunFacts) -> Iterator[str]:
    start = facts.artifact.provenance.get("trained_from")
    if said := foreign_text_note(start, facts.artifact.tokenizer, facts.data.texts):
        yield f"The labelled texts have {said}."
    if facts.cut_share > _LONG:
        most = int(facts.artifact.settings["max_length"])
        yield (
            f"{facts.cut_share:.0%} of the labelled texts are longer than {most:,} tokens: of these the last {most:,} "
            "decide, though all are read."
        )
    if facts.unknown_share is not None and facts.unknown_share > _UNKNOWN:
        yield f"{facts.unknown_share:.1%} of the tokens are words that the model does not know."
    if facts.report.get("transductive"):
        yield "Transductive: the test texts, without their labels, were among the texts that were learnt from."
