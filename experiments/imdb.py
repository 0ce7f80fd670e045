"""The reference notebook, step by step, on IMDb: data, classifier without and with language-model fine-tuning, samples.

    python experiments/imdb.py --data-dir DATA --out RUN                                # everything, as the notebook
    python experiments/imdb.py --data-dir DATA --out RUN --train-docs 2500 --epochs 1   # few labels, all the text
    python experiments/imdb.py --data-dir DATA --out RUN --both-directions              # forward, backward, their mean

DATA, or `tensorflow_datasets` in it, holds the prepared TFDS data set `imdb_reviews`. Measured figures, hardware and
times: experiments/README.md.

The language model reads the texts of the training and the unsupervised reviews, never those of the test set, unless
`--transductive` says so (the notebook does it). Validation is cut from the training labels; the test set is read once
for each classifier, at the end. RUN keeps everything: `language_model/` and `classifier_*/` (training states),
`models/` (model folders), `test_*.npy` (probabilities of the test reviews), `report.json`; with both directions in
`forward/` and `backward/`. With `--ngrams`, each classifier is measured once more with n-grams that answer beside it,
from the same probabilities. `--resume` goes on with an interrupted run.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from running import run_or_explain
from ulmfit_jax import ConfigError, Ensemble, LanguageModel, TextClassifier
from ulmfit_jax.answers import Answers, evaluated
from ulmfit_jax.artifact import load_artifact
from ulmfit_jax.baseline import tfidf_accuracy
from ulmfit_jax.classifier_options import RECIPES
from ulmfit_jax.data import (
    LanguageModelStream,
    TextDataset,
    corpus_in_memory,
    read_dataset,
    show_documents,
    show_language_model_batch,
)
from ulmfit_jax.data.labels import label_indices
from ulmfit_jax.data.split import split_rows
from ulmfit_jax.inference.temperature import expected_calibration_error
from ulmfit_jax.nn.architecture import PRESETS
from ulmfit_jax.nn.classifier import POOL_LAYERS
from ulmfit_jax.nn.products import PRECISIONS
from ulmfit_jax.pretrained import SHIPPED_PAIR, model_folder

EXAMPLE = "I really liked that movie!"
PROMPT = "I liked this movie because"
ABOUT = {
    "text": "reviews of IMDb (Maas et al. 2011)",
    "intended_use": "tells whether an English review of a film is positive or negative; it knows no third answer, and "
    "the less a text is like such a review, the less its answer is worth",
}
"""For the classifiers' cards."""

MAY_CHANGE = ("out", "data_dir", "resume", "hardware", "ngrams", "self_training", "skip_plain")
"""Options that leave the results that are there as they are: they add some, or say where things lie; but another
self-training than the one that is there is another."""


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", required=True, help="folder of prepared TFDS data sets")
    parser.add_argument("--out", type=Path, required=True, help="run folder")
    parser.add_argument("--preset", default="small", choices=sorted(PRESETS), help="sizes; small has a shipped model")
    parser.add_argument("--pretrained", help="language model to start from, or none; default: the preset's shipped one")
    parser.add_argument("--train-docs", type=int, default=25_000, help="labelled reviews, validation included")
    parser.add_argument("--lm-docs", type=int, help="reviews that the language model reads; default: all")
    parser.add_argument("--test-docs", type=int, default=25_000, help="test reviews; fewer only for a quick look")
    parser.add_argument(
        "--epochs", type=int, default=10, help="epochs of language-model fine-tuning; 0 leaves (b), (c) out"
    )
    parser.add_argument("--lm-drop-mult", type=float, help="scales the language model's dropouts")
    parser.add_argument("--lm-learning-rate", type=float, help="peak rate of its fine-tuning")
    parser.add_argument("--lm-batch-size", type=int, help="rows of its token stream")
    parser.add_argument(
        "--recipe", choices=RECIPES, default=RECIPES[0], help="of the classifier; fine_tune costs a third on a CPU"
    )
    parser.add_argument(
        "--classifier-epochs",
        type=int,
        nargs="+",
        metavar="N",
        help="of the four stages of gradual unfreezing, the two of fine_tune or its second; default: by the labels",
    )
    parser.add_argument("--classifier-learning-rate", type=float, help="peak rate of the classifier's first stage")
    parser.add_argument("--lr-mult", type=float, help="its head's rate over its embedding's; default: the recipe's")
    parser.add_argument("--classifier-batch-size", type=int, help="documents of its batches")
    parser.add_argument("--drop-mult", type=float, default=0.5, help="scales its dropouts")
    parser.add_argument("--adversarial", type=float, default=0.0, help="reach of its adversarial examples; 0: none")
    parser.add_argument(
        "--pool-layers", choices=POOL_LAYERS, default="all", help="what the classifier's head reads; notebook: last"
    )
    parser.add_argument("--cache-frozen", action="store_true", help="the head's first stage reads kept vectors")
    parser.add_argument(
        "--self-training",
        type=int,
        nargs="+",
        default=[],
        metavar="N",
        help="(d): reviews that (c) labels to learn on from; several numbers are several rounds",
    )
    parser.add_argument(
        "--validation-fraction",
        type=float,
        default=0.1,
        help="share of the labelled reviews that measures each epoch; 0 trains on all",
    )
    parser.add_argument("--ngrams", action="store_true", help="measure each classifier with n-grams beside it too")
    parser.add_argument("--precision", choices=PRECISIONS, help="of matrix products; bfloat16 where it is fast")
    parser.add_argument("--mantissa-bits", type=int, help="of the stored classifiers' weights; 3 for small folders")
    parser.add_argument("--hardware", default="2 CPU cores", help="said on the cards")
    parser.add_argument("--skip-plain", action="store_true", help="leave (a) out, the classifier without fine-tuning")
    parser.add_argument("--seed", type=int, default=0)
    directions = parser.add_mutually_exclusive_group()
    directions.add_argument("--backwards", action="store_true", help="read from the end, with a model that does")
    directions.add_argument(
        "--both-directions", action="store_true", help="one after the other, from the shipped pair, then their mean"
    )
    parser.add_argument("--transductive", action="store_true", help="the language model reads the test texts too")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --out")
    return parser.parse_args()


class Experiment:
    """The steps of the notebook over one run folder."""

    def __init__(self, options: argparse.Namespace):
        self.options = options
        if options.out.exists() and any(options.out.iterdir()) and not options.resume:
            raise ConfigError(
                f"{options.out} is not empty: add --resume to go on with the run there, or choose another"
            )
        if options.self_training and not options.epochs:
            raise ConfigError("--self-training goes on from (c), which --epochs 0 leaves out: leave out one of them")
        if options.preset != "small" and options.pretrained not in (None, "none"):
            raise ConfigError(f"--preset is for a model from scratch, and {options.pretrained} has its own sizes")
        self.report = read_report(options)
        shipped = SHIPPED_PAIR[options.backwards] if options.preset == "small" else "none"
        name = options.pretrained or shipped
        self.pretrained = None if name == "none" else name
        self.preset = options.preset if self.pretrained is None else None
        forwards = self.pretrained is not None and not load_artifact(model_folder(self.pretrained)).backwards
        if options.backwards and forwards:
            raise ConfigError(f"{self.pretrained} reads forwards: with --backwards, give a backward model or none")

    def run(self) -> None:
        """All steps."""
        options = self.options
        train, test, lm_texts = self.data
        if not options.skip_plain and not (options.backwards and self.pretrained is None):
            print("\n(a) Classifier without language-model fine-tuning")
            self.classify("plain", self.classifier(self.pretrained, self.preset), train, test)
        if options.epochs:
            model = self.language_model(lm_texts)
            print("\n(c) Classifier from the fine-tuned encoder")
            self.classify("fine_tuned", self.classifier(model, None), train, test)
        if options.epochs and options.self_training:
            print("\n(d) The same, after self-training")
            others = sorted(set(lm_texts).difference(train.texts, test.texts))
            self.classify("self_trained", self.classifier(model, None, options.self_training), train, test, others)
        print("\n" + json.dumps(self.report["results"], indent=2))

    @cached_property
    def data(self) -> tuple[TextDataset, TextDataset, list[str]]:
        """Training and test reviews, and the language model's texts."""
        everything = self.read("train")
        chosen = balanced_subset(everything, self.options.train_docs, self.options.seed)
        train, test = everything.select(chosen), self.read("test")
        if self.options.test_docs < len(test):
            test = test.select(balanced_subset(test, self.options.test_docs, self.options.seed))
        unsupervised = read_dataset(
            "tfds:imdb_reviews:unsupervised", data_dir=self.options.data_dir, require_labels=False
        )
        texts = [*everything.texts, *unsupervised.texts]
        tested = set(test.texts)
        kept = [text for text in texts if text not in tested]
        print(f"{len(texts) - len(kept)} of the language model's texts are test reviews too and left out")
        print(f"{test.shared_with(train)} of the test reviews are among the labelled ones too")
        texts = [*kept, *(test.texts if self.options.transductive else [])]
        order = np.random.default_rng(self.options.seed).permutation(len(texts))[: self.options.lm_docs]
        texts = [texts[i] for i in order]
        print(f"{len(train):,} labelled reviews, {len(test):,} to test on, {len(texts):,} texts for the language model")
        return train, test, texts

    def read(self, split: str) -> TextDataset:
        """A labelled split of IMDb."""
        return read_dataset(f"tfds:imdb_reviews:{split}", data_dir=self.options.data_dir)

    def language_model(self, texts: list[str]) -> LanguageModel:
        """(b): fine-tune, show a batch, generate, save the model and its encoder."""
        options = self.options
        model = LanguageModel(
            self.pretrained,
            self.preset,
            epochs=options.epochs,
            frozen_epochs=0,
            drop_mult=options.lm_drop_mult,
            learning_rate=options.lm_learning_rate,
            batch_size=options.lm_batch_size,
            backwards=options.backwards and self.pretrained is None,
            precision=options.precision,
            seed=options.seed,
            verbose=True,
        )
        print("\n(b) Language model")
        model.fit(texts, run_dir=options.out / "language_model", workers=2)
        stream = LanguageModelStream(corpus_in_memory(texts[:100], model.tokenizer), 4, 24)
        print("\nA batch:\n" + show_language_model_batch(stream, model.tokenizer))
        model.save(options.out / "models" / "language_model")
        model.save_encoder(options.out / "models" / "encoder")
        samples = (
            []
            if model.artifact.backwards
            else [
                model.generate(PROMPT, n_words=40, temperature=0.75, seed=options.seed + number) for number in range(2)
            ]
        )
        print("\n".join(samples))
        seconds = sum(row["seconds"] for row in model.history)
        self.note("language_model", {**model.history[-1], "seconds": seconds, "samples": samples})
        return model

    def classifier(
        self, pretrained: str | LanguageModel | None, preset: str | None, self_training: Sequence[int] = ()
    ) -> TextClassifier:
        """A classifier that takes its encoder as it is."""
        return TextClassifier(
            pretrained,
            preset,
            lm_epochs=0,
            recipe=self.options.recipe,
            epochs=classifier_epochs(self.options),
            learning_rate=self.options.classifier_learning_rate,
            lr_mult=self.options.lr_mult,
            batch_size=self.options.classifier_batch_size,
            drop_mult=self.options.drop_mult,
            adversarial=self.options.adversarial,
            pool_layers=self.options.pool_layers,
            cache_frozen=self.options.cache_frozen,
            self_training=self_training or 0,
            validation_fraction=self.options.validation_fraction,
            precision=self.options.precision,
            seed=self.options.seed,
            verbose=True,
        )

    def classify(
        self,
        name: str,
        classifier: TextClassifier,
        train: TextDataset,
        test: TextDataset,
        unlabeled: Sequence[str] = (),
    ) -> None:
        """(a), (c), (d): gradual unfreezing, the test set once, an example, the saved model."""
        if name in self.report["results"]:
            print(f"measured before, see {self.options.out / 'report.json'}")  # the test set is read once
            self.add_ngrams(name, train, test)
            return
        folder = self.options.out / ("classifier_plain" if name == "plain" else "classifier_fine_tuned")  # (d) goes on
        classifier.fit(train.texts, train.labels or [], unlabeled, run_dir=folder, workers=2)
        trained = time.monotonic()
        history, stored = classifier.history_, self.options.out / "models" / f"classifier_{name}"
        training = sum(row["seconds"] for row in history)  # those of a run that was stopped in between too
        size: dict[str, Any] = {"half_precision": True, "mantissa_bits": self.options.mantissa_bits}
        classifier.save(stored, **size)
        classifier = TextClassifier.load(stored, precision=self.options.precision)  # what is measured is what is kept
        classifier.verbose = True
        probabilities = classifier.predict_proba(test.texts)
        np.save(self.options.out / f"test_{name}.npy", probabilities)
        result = figures(classifier, probabilities, test)
        row = classifier.predict_proba(EXAMPLE)[0]
        example = {str(label): round(float(p), 4) for label, p in zip(classifier.classes_, row, strict=True)}
        print("\nDocuments:\n" + show_documents(train, None, classifier.artifact.tokenizer, rows=3))
        print(f"test: {result}\n{EXAMPLE!r}: {classifier.predict(EXAMPLE)} {example}")
        baseline = tfidf_accuracy(train.texts, train.labels or [], test.texts, test.labels or [])
        measures = {
            "test error": f"{result['error']:.2%} of {result['n']:,} reviews, with the weights as stored",
            "TF-IDF and logistic regression on the same labels": f"{1 - baseline:.2%}",
            "minutes of training": f"{training / 60:.0f} after the language model's, on {self.options.hardware}",
            "date": time.strftime("%Y-%m-%d"),
        }
        classifier.save(stored, **size, provenance={"measures": measures, **ABOUT})
        self.note(
            name,
            {
                "test": result,
                "baseline": {"accuracy": baseline, "error": 1 - baseline},
                "validation": history[-1],
                "example": example,
                "seconds": {"training": training, "testing": time.monotonic() - trained},
            },
        )
        self.add_ngrams(name, train, test)

    def add_ngrams(self, name: str, train: TextDataset, test: TextDataset) -> None:
        """With `--ngrams`: the classifier and n-grams together, from the classifier's answers on the test reviews."""
        folder, key = self.options.out / "models", f"{name}_with_ngrams"
        if self.options.ngrams and key not in self.report["results"]:
            model = Ensemble([TextClassifier.load(folder / f"classifier_{name}")])
            known = np.load(self.options.out / f"test_{name}.npy")
            result = figures_with_ngrams(model, self.options, train, test, known, folder / f"with_ngrams_{name}")
            print(f"with n-grams: test {result}")
            self.note(key, {"test": result})

    def note(self, name: str, result: dict[str, Any]) -> None:
        """Add a result to report.json."""
        note(self.options.out, self.report, name, result)


def read_report(options: argparse.Namespace) -> dict[str, Any]:
    """What stands in report.json of the run folder, with these options; no results in a new one.

    Raises:
        ConfigError: results stand there that were measured with other options.
    """
    place = options.out / "report.json"
    chosen = {name: str(value) for name, value in vars(options).items()}
    kept = json.loads(place.read_text("utf-8")) if place.is_file() else {"options": {}, "results": {}}
    others = [name for name, value in kept["options"].items() if chosen.get(name, value) != value]
    may_change = {*MAY_CHANGE} - ({"self_training"} if "self_trained" in kept["results"] else set())
    others = [name for name in others if name not in may_change]
    if kept["results"] and others:
        raise ConfigError(
            f"{place} was measured with {others[0]} = {kept['options'][others[0]]}: choose another --out, or the same "
            "options"
        )
    return {"options": chosen, "results": kept["results"]}


def note(folder: Path, report: dict[str, Any], name: str, result: dict[str, Any]) -> None:
    """Add a result to the report and write it."""
    report["results"][name] = result
    (folder / "report.json").write_text(json.dumps(report, indent=2) + "\n", "utf-8")


def figures(model: Answers, probabilities: np.ndarray, test: TextDataset) -> dict[str, Any]:
    """Those of `Answers.evaluate`, of probabilities that are there already, since a pass over the test reviews takes
    minutes."""
    truth = label_indices(test, model.class_names)
    ece = expected_calibration_error(probabilities, truth)
    return {**evaluated(probabilities, truth, model.class_names), "ece": ece}


def figures_with_ngrams(
    model: Ensemble,
    options: argparse.Namespace,
    train: TextDataset,
    test: TextDataset,
    of_members: np.ndarray,
    folder: Path,
) -> dict[str, Any]:
    """Let n-grams answer beside the members, whose probabilities of the test reviews are there already; the figures, of
    what is then kept in `folder`."""
    learnt, held_out = map(train.select, split_rows(train, options.validation_fraction, options.seed))
    model.learn_ngrams(learnt.texts, learnt.labels or (), held_out.texts, held_out.labels or ())
    model.save(folder, half_precision=True)
    voice = Ensemble.load(folder).ngrams
    assert voice is not None
    documents = list(corpus_in_memory(test.texts, model.members[0].artifact.tokenizer))
    together = voice.log_probabilities(np.log(np.maximum(of_members, 1e-30)), documents)
    alone = figures(model, np.exp(voice.model.log_probabilities(documents)), test)
    return {**figures(model, np.exp(together), test), "ngrams": {**voice.facts(), "alone": alone["error"]}}


def both_directions(options: argparse.Namespace) -> None:
    """The steps in each direction; then the mean of the two classifiers of each kind, whose test reviews were read."""
    if options.pretrained is not None:
        raise ConfigError("--both-directions starts from the preset's own models: leave --pretrained out")
    runs = []
    for name in ("forward", "backward"):
        print(f"\nReading {name}")
        chosen = {"out": options.out / name, "backwards": name == "backward"}
        runs.append(Experiment(argparse.Namespace(**{**vars(options), **chosen})))
        runs[-1].run()
    report = read_report(options)
    test = runs[0].data[1]
    for name in ("plain", "fine_tuned", "self_trained"):
        if any(name not in run.report["results"] for run in runs):
            continue
        model = Ensemble([TextClassifier.load(run.options.out / "models" / f"classifier_{name}") for run in runs])
        model.save(options.out / "models" / f"ensemble_{name}")
        probabilities = np.mean([np.load(run.options.out / f"test_{name}.npy") for run in runs], axis=0)
        result = figures(model, probabilities, test)
        note(options.out, report, name, {"test": result})
        print(f"Both directions, {name}: test {result}")
        if options.ngrams:
            place = options.out / "models" / f"with_ngrams_{name}"
            result = figures_with_ngrams(model, options, runs[0].data[0], test, probabilities, place)
            note(options.out, report, f"{name}_with_ngrams", {"test": result})
            print(f"Both directions and n-grams, {name}: test {result}")


def classifier_epochs(options: argparse.Namespace) -> int | tuple[int, ...] | None:
    """As `TextClassifier` takes them: a number for `fine_tune`, numbers for the stages otherwise."""
    if options.classifier_epochs is None:
        return None
    return options.classifier_epochs[0] if len(options.classifier_epochs) == 1 else tuple(options.classifier_epochs)


def balanced_subset(data: TextDataset, size: int, seed: int) -> np.ndarray:
    """Indices of `size` examples with the classes in equal numbers, drawn from `seed`."""
    labels = np.array(data.labels)
    generator = np.random.default_rng(seed)
    classes = np.unique(labels)
    picked = [generator.permutation(np.flatnonzero(labels == label))[: size // len(classes)] for label in classes]
    return np.sort(np.concatenate(picked))


def main() -> None:
    """Run, or say in one sentence what is wrong."""
    options = arguments()
    run_or_explain("imdb", lambda: both_directions(options) if options.both_directions else Experiment(options).run())


if __name__ == "__main__":
    main()
