"""Options of the command line arrive where they count: each by name, none of them forgotten on its way."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import pytest
from command_line import Trained, reviews, write_csv

from ulmfit_jax import Ensemble, LanguageModel, TextClassifier
from ulmfit_jax.cli import finetune_lm, generate, learn, lr_find, ngrams, pretrain, train, train_texts
from ulmfit_jax.cli.arguments import labelled_reading_options
from ulmfit_jax.cli.configuration import parse_arguments, sub_parsers
from ulmfit_jax.cli.main import build_parser
from ulmfit_jax.cli.train_texts import TrainTexts
from ulmfit_jax.data import TextDataset
from ulmfit_jax.data.split import split_rows
from ulmfit_jax.language_model_fit import Scratch

OF_TRAINING: dict[str, tuple[list[str], Any]] = {
    "batch_size": (["--batch-size", "24"], 24),
    "precision": (["--precision", "bfloat16"], "bfloat16"),
    "seed": (["--seed", "9"], 9),
    "devices": (["--devices", "2"], 2),
    "skip_nonfinite": (["--skip-nonfinite", "5"], 5),
}
"""Arguments of `TextClassifier` and `LanguageModel`, how they are given, and as what they arrive."""

OF_CLASSIFIER: dict[str, tuple[list[str], Any]] = {
    **OF_TRAINING,
    "recipe": (["--recipe", "fine_tune"], "fine_tune"),
    "lm_epochs": (["--lm-epochs", "3"], 3),
    "lm_learning_rate": (["--lm-learning-rate", "0.003"], 0.003),
    "lm_batch_size": (["--lm-batch-size", "48"], 48),
    "epochs": (["--epochs", "2,5"], (2, 5)),
    "learning_rate": (["--learning-rate", "0.02"], 0.02),
    "lr_mult": (["--lr-mult", "4"], 4.0),
    "drop_mult": (["--drop-mult", "0.7"], 0.7),
    "label_smoothing": (["--label-smoothing", "0.1"], 0.1),
    "adversarial": (["--adversarial", "0.3"], 0.3),
    "pool_layers": (["--pool-layers", "last"], "last"),
    "class_weight": (["--class-weight", "balanced"], "balanced"),
    "validation_fraction": (["--validation-fraction", "0.2"], 0.2),
    "self_training": (["--self-training", "30,20"], (30, 20)),
    "cache_frozen": (["--cache-frozen"], True),
    "keep_best": (["--keep-best"], True),
    "patience": (["--patience", "2"], 2),
}

OF_LANGUAGE_MODEL: dict[str, tuple[list[str], Any]] = {
    **OF_TRAINING,
    "epochs": (["--epochs", "3"], 3),
    "learning_rate": (["--learning-rate", "0.003"], 0.003),
    "drop_mult": (["--drop-mult", "0.7"], 0.7),
}


class Stopped(Exception):
    """What is raised where the work would begin."""


def parsed(*arguments: str | Path) -> argparse.Namespace:
    return parse_arguments(build_parser(), [str(argument) for argument in arguments])


def given(options: dict[str, tuple[list[str], Any]]) -> list[str]:
    return [word for words, _ in options.values() for word in words]


def arrived(options: dict[str, tuple[list[str], Any]]) -> dict[str, Any]:
    return {name: value for name, (_, value) in options.items()}


def options_of(command: str, title: str) -> set[str]:
    """The long names of the options in a group of a command's help."""
    (group,) = (group for group in sub_parsers(build_parser())[command]._action_groups if group.title == title)
    return {action.option_strings[-1] for action in group._group_actions if action.option_strings[-1][2:5] != "no-"}


def test_of_train(language_model: Path) -> None:
    command = ["train", "data.csv", "--out", "run", "--unlabeled", "more.txt"]
    options = parsed(*command, "--pretrained", language_model, *given(OF_CLASSIFIER))
    model = train._model(options)
    assert model.pretrained == str(language_model)
    assert {name: model.get_params()[name] for name in OF_CLASSIFIER} == arrived(OF_CLASSIFIER)
    model.options  # noqa: B018 - they go together
    weighed = train._model(parsed(*command, "--class-weight", "good=50", "--class-weight", "a=b=2"))
    assert weighed.class_weight == {"good": 50.0, "a=b": 2.0}
    scratch = train._model(parsed(*command, "--pretrained", "none", "--preset", "tiny"))
    assert (scratch.pretrained, scratch.preset) == (None, "tiny")
    elsewhere = {"--pretrained", "--preset", "--workers", "--lr-find", "--seeds", "--ngrams", "--co-training"}
    elsewhere |= {"--both-directions", "--pretrained-backward"}
    assert options_of("train", "training") == {words[0] for words, _ in OF_CLASSIFIER.values()} | elsewhere


def test_what_decides_what_train_learns_makes_another_run() -> None:
    data = TextDataset(*map(list, zip(*reviews(20, 1), strict=True)), "made up")
    command = ["train", "data.csv", "--out", "run", "--pretrained", "none"]
    before = train._configuration(parsed(*command), TrainTexts(data, None, []))
    for name, (words, _) in OF_CLASSIFIER.items():
        other = train._configuration(parsed(*command, *words), TrainTexts(data, None, []))
        assert (other != before) == (name not in ("devices", "skip_nonfinite")), name
    assert train._configuration(parsed(*command), TrainTexts(data, None, ["more"])) != before


def test_processes_that_tokenise(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found: list[int] = []

    def fit(model: TextClassifier, *_: Any, workers: int, **__: Any) -> None:
        found.append(workers)
        raise Stopped

    monkeypatch.setattr(TextClassifier, "fit", fit)
    data = write_csv(tmp_path / "data.csv", reviews(40, 1))
    with pytest.raises(Stopped):
        train.run(parsed("train", data, "--out", tmp_path / "run", "--pretrained", "none", "--workers", "3"))
    assert found == [3]


def test_of_learn(trained: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[str, Any] = {}

    def learn_from(model: TextClassifier, *_: Any, run_dir: Path, **further: Any) -> None:
        found.update({**model.get_params(), **further})
        raise Stopped

    monkeypatch.setattr(TextClassifier, "learn_from", learn_from)
    names = ("batch_size", "precision", "seed", "devices", "skip_nonfinite", "drop_mult", "adversarial")
    chosen = {name: OF_CLASSIFIER[name] for name in (*names, "validation_fraction", "learning_rate", "lr_mult")}
    chosen |= {"epochs": OF_LANGUAGE_MODEL["epochs"], "workers": (["--workers", "2"], 2)}
    with pytest.raises(Stopped):
        learn.run(parsed("learn", trained.out, trained.train, "--out", tmp_path / "run", *given(chosen)))
    assert {name: found[name] for name in chosen} == arrived(chosen)
    assert options_of("learn", "training") == {words[0] for words, _ in chosen.values()}


@pytest.mark.parametrize("command", ["pretrain", "finetune-lm"])
def test_of_a_language_model(command: str, language_model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[str, Any] = {}

    def begun(_: str, options: argparse.Namespace, model: LanguageModel, decisive: dict[str, Any]) -> None:
        found.update({"model": model, "decisive": decisive, "workers": options.workers})

    module = pretrain if command == "pretrain" else finetune_lm
    monkeypatch.setattr(module, "run_language_model", begun)
    chosen, own, elsewhere = dict(OF_LANGUAGE_MODEL), [], {"--workers"}
    if command == "pretrain":
        own = ["--preset", "tiny", "--backwards", "--tokenizer", "spacy", "--language", "de"]
        own += ["--vocabulary-size", "700"]
        elsewhere |= {"--preset", "--backwards", "--tokenizer", "--language"}
        elsewhere |= {"--vocabulary-size", "--character-coverage"}
    else:
        chosen["frozen_epochs"] = (["--frozen-epochs", "2"], 2)
        own, elsewhere = ["--pretrained", str(language_model)], elsewhere | {"--pretrained"}
    module.run(parsed(command, "texts.txt", "--out", "run", "--workers", "2", *given(chosen), *own))
    model, decisive = found["model"], found["decisive"]
    assert {name: getattr(model.options, name) for name in chosen} == arrived(chosen)
    deciding = {name: value for name, value in arrived(chosen).items() if name not in ("devices", "skip_nonfinite")}
    assert {name: decisive[name] for name in deciding} == deciding
    if command == "pretrain":
        assert model._scratch == Scratch("tiny", "spacy:de", True, 700)
        assert {name: decisive[name] for name in ("preset", "tokenizer", "backwards", "vocabulary_size")} == {
            name: value for name, value in vars(model._scratch).items() if value is not None
        }
    assert found["workers"] == 2
    assert options_of(command, "training") == {words[0] for words, _ in chosen.values()} | elsewhere


def test_the_pieces_of_a_new_model_cover_what_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[LanguageModel] = []
    monkeypatch.setattr(pretrain, "run_language_model", lambda _, options, model, decisive: found.append(model))
    pretrain.run(parsed("pretrain", "texts.txt", "--out", "run", "--character-coverage", "1"))
    assert found[0]._scratch == Scratch("small", "sentencepiece", False, None, 1.0)


def test_of_generate(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[Any, ...]] = []

    class Writer:
        """In the place of a language model."""

        def generate(self, *arguments: Any, **limits: Any) -> list[str]:
            calls.append((*arguments, limits))
            return []

        def stream(self, *arguments: Any, **limits: Any) -> list[str]:
            return self.generate(*arguments, **limits)

    monkeypatch.setattr(LanguageModel, "load", lambda name: Writer())
    command = ["generate", "model", "--prompt", "The", "--words", "9", "--temperature", "0.6", "--min-p", "0.01"]
    command += ["--top-k", "8", "--top-p", "0.9", "--no-repeat", "4", "--stop", "a", "--stop", "b", "--seed", "5"]
    limits = {"top_k": 8, "top_p": 0.9, "no_repeat": 4, "stop": ["a", "b"]}
    generate.run(parsed(*command, "--samples", "2"))
    generate.run(parsed(*command, "--samples", "2", "--stream"))
    generate.run(parsed(*command, "--beams", "3"))
    assert calls == [
        (["The", "The"], 9, 0.6, 0.01, 5, {"beams": 0, **limits}),
        ("The", 9, 0.6, 0.01, 5, limits),
        ("The", 9, 0.6, 0.01, 6, limits),
        (["The"], 9, 0.6, 0.01, 5, {"beams": 3, **limits}),
    ]


@pytest.mark.parametrize("stage", ["lm", "classifier"])
def test_of_lr_find(stage: str, trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    found: dict[str, Any] = {}

    def rates(model: Any, *_: Any, told: Any, **finder: Any) -> None:
        parameters = vars(model.options) if stage == "lm" else model.get_params()
        found.update({**parameters, **finder})
        raise Stopped

    monkeypatch.setattr("ulmfit_jax.learning_rates.language_model_rates", rates)
    monkeypatch.setattr("ulmfit_jax.learning_rates.classifier_rates", rates)
    chosen = {name: OF_TRAINING[name] for name in ("batch_size", "precision", "seed", "devices")}
    chosen |= {"layers": (["--layers", "2"], 2), "start": (["--start", "1e-6"], 1e-6), "end": (["--end", "3"], 3.0)}
    chosen |= {"steps": (["--steps", "40"], 40), "workers": (["--workers", "2"], 2)}
    with pytest.raises(Stopped):
        lr_find.run(parsed("lr-find", trained.train, "--stage", stage, "--pretrained", "none", *given(chosen)))
    assert {name: found[name] for name in chosen} == arrived(chosen)


def test_of_reading() -> None:
    words = ["--text-column", "a", "--text-column", "b", "--label-column", "c", "--label-separator", ";"]
    words += ["--data-dir", "sets", "--encoding", "cp1252", "--download"]
    assert labelled_reading_options(parsed("show", "data.csv", *words)) == {
        "text_column": ["a", "b"],
        "label_column": ["c"],
        "label_separator": ";",
        "data_dir": "sets",
        "encoding": "cp1252",
        "download": True,
    }


def test_test_texts_are_no_unlabelled_ones_unless_that_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "one.txt").write_text("new\ntested\n", "utf-8")
    (tmp_path / "two.txt").write_text("newer\n", "utf-8")
    test = TextDataset(["tested", "also tested"], ["a", "b"], "made up")
    command = ["train", "data.csv", "--out", "run", "--unlabeled", tmp_path / "one.txt", tmp_path / "two.txt"]
    plain, transductive = parsed(*command), parsed(*command, "--transductive")
    assert train_texts._unlabeled(plain, None, None) == ["new", "tested", "newer"]
    assert train_texts._unlabeled(plain, None, test) == ["new", "newer"]
    assert train_texts._unlabeled(transductive, None, test) == ["new", "newer", "tested", "also tested"]
    assert train_texts._unlabeled(transductive, test, None) == ["new", "newer"]  # to measure on
    assert train_texts._unlabeled(transductive, test, test) == ["new", "newer"]


def test_ngrams_learn_from_no_text_that_is_measured_on(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Any] = []

    def learnt(model: Ensemble, *lists: Any, unlabeled: Any) -> None:
        found.extend([*lists, unlabeled])
        raise Stopped

    monkeypatch.setattr(Ensemble, "learn_ngrams", learnt)
    texts, labels = map(list, zip(*reviews(40, 1), strict=True))
    data, more = TextDataset(texts, labels, "made up"), [text for text, _ in reviews(10, 3)]
    command = ["train", "data.csv", "--out", "run", "--ngrams", "--co-training", "6", "--unlabeled", "more.txt"]
    with pytest.raises(Stopped):
        ngrams.learn_ngrams(
            Ensemble.__new__(Ensemble), parsed(*command, "--validation-fraction", "0.25", "--seed", "3"), data, more
        )
    for rows, position in zip(split_rows(data, 0.25, 3), (0, 2), strict=True):
        assert found[position] == [texts[row] for row in rows]
        assert list(found[position + 1]) == [labels[row] for row in rows]
    assert len(found[4]) == 6
    assert set(found[4]) <= set(more)
