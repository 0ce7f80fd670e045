"""What a language model's training will be: the texts to learn from and to measure on, the stages, the settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ulmfit_jax.artifact import Artifact
from ulmfit_jax.data.corpus import Corpus
from ulmfit_jax.errors import ConfigError
from ulmfit_jax.nn.architecture import LANGUAGE_MODEL_DROPOUTS
from ulmfit_jax.nn.products import check_precision, chosen_precision
from ulmfit_jax.option_ranges import check_from_zero, check_positive, check_seed, make_whole
from ulmfit_jax.training.language_model import LanguageModelTask
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.recipes import language_model_stages, pretrain_stages
from ulmfit_jax.training.runs import LanguageModelSettings, language_model_task
from ulmfit_jax.training.scaling import fine_tuning_rate, language_model_batch_size, language_model_epochs
from ulmfit_jax.training.stages import Stage

VALIDATION_SHARE = 0.05
"""Share of the documents, the last ones, that measure a language model when no others are given."""

SCRATCH_RATE = 5e-3

_WHOLE = ("epochs", "frozen_epochs", "batch_size", "bptt", "skip_nonfinite", "seed", "devices")

REGULARISED = {"drop_mult": 0.5, "activation_penalty": 2.0, "temporal_penalty": 1.0}
"""For text that is read several times: fastai's AR and TAR, and half its dropout, as its classifiers have."""

READ_ONCE = {"drop_mult": 0.1, "activation_penalty": 0.0, "temporal_penalty": 0.0}
"""For text that is read once: there is nothing to over-fit, so regularisation only costs."""


@dataclass(frozen=True)
class LanguageModelOptions:
    """What can be chosen of a language model's training; `LanguageModel` documents each. None: by the data."""

    epochs: int | None = None
    frozen_epochs: int | None = None
    learning_rate: float | None = None
    drop_mult: float | None = None
    activation_penalty: float | None = None
    temporal_penalty: float | None = None
    reset_state: bool = True
    batch_size: int | None = None
    bptt: int = 72
    precision: str | None = None
    skip_nonfinite: int = 0
    seed: int = 0
    devices: int | None = None
    verbose: bool = False

    def __post_init__(self) -> None:
        make_whole(self, *_WHOLE)
        check_seed(self.seed)
        check_positive(learning_rate=self.learning_rate, batch_size=self.batch_size, bptt=self.bptt)
        check_from_zero(epochs=self.epochs, frozen_epochs=self.frozen_epochs, skip_nonfinite=self.skip_nonfinite)
        check_from_zero(activation_penalty=self.activation_penalty, temporal_penalty=self.temporal_penalty)
        check_precision(self.precision)
        LANGUAGE_MODEL_DROPOUTS.scaled(1.0 if self.drop_mult is None else self.drop_mult)  # in range, or refused


@dataclass(frozen=True)
class LanguageModelPlan:
    """Everything that a language model's training is, before it runs.

    Attributes:
        start: what it starts from; without parameters from scratch.
        train: documents to learn from.
        valid: documents to measure on after each epoch, or None.
        stages: the fits, with epochs and rates.
        settings: batch size, dropout, penalties.
        seed: of everything that is drawn.
    """

    start: Artifact
    train: Corpus
    valid: Corpus | None
    stages: tuple[Stage, ...]
    settings: LanguageModelSettings
    seed: int

    def task(self, devices: Devices) -> LanguageModelTask:
        """The network bound to the documents, as training runs it."""
        return language_model_task(self.start.architecture, self.train, self.valid, self.settings, self.seed, devices)


def language_model_plan(
    start: Artifact, train: Corpus, valid: Corpus | None, options: LanguageModelOptions
) -> LanguageModelPlan:
    """Choose what `options` leave open by the amount of text; without `valid`, the last documents of `train` measure.

    Raises:
        ConfigError: nothing would be trained.
    """
    if valid is None:
        train, valid = _hold_out(train)
    stages = _stages(train, start, options)
    return LanguageModelPlan(start, train, valid, tuple(stages), _settings(train, start, stages, options), options.seed)


def _hold_out(corpus: Corpus) -> tuple[Corpus, Corpus | None]:
    """The last documents aside, to measure on; nothing where there are too few."""
    documents = min(int(len(corpus) * VALIDATION_SHARE), 2_000)
    return corpus.split(len(corpus) - documents) if documents else (corpus, None)


def _settings(
    train: Corpus, start: Artifact, stages: Sequence[Stage], options: LanguageModelOptions
) -> LanguageModelSettings:
    suitable = language_model_batch_size(train.n_tokens, options.bptt)
    defaults = READ_ONCE if sum(stage.epochs for stage in stages) == 1 else REGULARISED
    chosen = {name: getattr(options, name) for name in defaults}
    return LanguageModelSettings(
        batch_size=options.batch_size or Devices(options.devices).batch_of(suitable),
        bptt=options.bptt,
        reset_state=options.reset_state,
        precision=chosen_precision(options.precision),
        backwards=start.backwards,
        **{name: defaults[name] if value is None else value for name, value in chosen.items()},
    )


def _stages(train: Corpus, start: Artifact, options: LanguageModelOptions) -> list[Stage]:
    from_scratch = not start.parameters
    epochs = options.epochs
    if epochs is None:
        epochs = language_model_epochs(train.n_tokens, from_scratch=from_scratch)
    if from_scratch:
        return pretrain_stages(epochs, options.learning_rate or SCRATCH_RATE)
    brings_new_rows = start.tokenizer.closed_vocabulary
    frozen = int(brings_new_rows) if options.frozen_epochs is None else options.frozen_epochs
    rate = options.learning_rate or fine_tuning_rate(epochs)
    stages = language_model_stages(epochs, frozen, learning_rate=rate)
    if not stages:
        raise ConfigError("epochs and frozen_epochs are both 0: nothing would be trained")
    return stages
