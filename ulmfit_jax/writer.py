"""What a language model can write: continuations of texts, drawn or searched for, whole or piece by piece."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

from ulmfit_jax.artifact import Artifact
from ulmfit_jax.errors import ConfigError
from ulmfit_jax.inference.generate import Generator
from ulmfit_jax.inference.sampling import Sampling

_MOST_BEAMS = 1000
"""fastai 1 searches with so many."""


class Writer(ABC):
    """Generation from an artefact."""

    _generator: Generator | None = None

    @property
    @abstractmethod
    def artifact(self) -> Artifact:
        """The language model as plain data."""

    @property
    @abstractmethod
    def seed(self) -> int:
        """Of what is drawn where no other seed is given."""

    def generate(
        self,
        prompt: str | Sequence[str] = "",
        n_words: int = 40,
        temperature: float = 0.75,
        min_p: float = 0.0,
        seed: int | None = None,
        *,
        top_k: int = 0,
        top_p: float = 1.0,
        no_repeat: int = 0,
        beams: int = 0,
        stop: Sequence[str] = (),
    ) -> Any:
        """Continue a text, or several at once.

        Args:
            prompt: how the text begins; or a list of beginnings, continued side by side.
            n_words: words to add at the most.
            temperature: 1 draws from the model's probabilities; less prefers likely words (the notebook uses 0.75).
            min_p: tokens with a lower probability are never drawn.
            seed: of the draw, the model's own by default; the second of several prompts takes the next number.
            top_k: draw from so many tokens, the most probable ones; 0 for no limit.
            top_p: draw from the fewest tokens whose probabilities sum to this; 1 for no limit.
            no_repeat: no run of so many tokens comes twice in 512 tokens, the prompt included; 0 for no limit. Models
                of little text and low temperatures go round in circles without it; 4 breaks them.
            beams: draw nothing, but search for the most probable text with so many candidates side by side; 0 draws.
                Temperature and seed count for nothing then, and top_k, top_p and min_p are refused. It repeats itself:
                give `no_repeat` too.
            stop: the text ends before the first of these strings that comes after the prompt.

        Returns:
            The prompt as the tokeniser shows it, and its continuation; a list of these for a list.

        Raises:
            ConfigError: a number is out of its range, or the model reads backwards.
        """
        sampling = Sampling(temperature, top_k, top_p, min_p, no_repeat)
        if not 0 <= beams <= _MOST_BEAMS:
            raise ConfigError(f"beams is {beams}, it has to be from 0 (draw) to {_MOST_BEAMS}")
        if beams and (top_k or top_p < 1 or min_p):
            raise ConfigError("beams searches without drawing: leave top_k, top_p and min_p out")
        prompts = [prompt] if isinstance(prompt, str) else prompt
        if beams:
            texts = self._writer().search(prompts, n_words, beams, no_repeat, _listed(stop))
        else:
            texts = self._writer().generate(prompts, n_words, sampling, _listed(stop), self._seed(seed))
        return texts[0] if isinstance(prompt, str) else texts

    def stream(
        self,
        prompt: str = "",
        n_words: int = 40,
        temperature: float = 0.75,
        min_p: float = 0.0,
        seed: int | None = None,
        *,
        top_k: int = 0,
        top_p: float = 1.0,
        no_repeat: int = 0,
        stop: Sequence[str] = (),
    ) -> Iterator[str]:
        """The text of `generate` with these arguments piece by piece while it is written; together they are that text.

        Raises:
            ConfigError: as `generate`, before the first piece.
        """
        sampling = Sampling(temperature, top_k, top_p, min_p, no_repeat)
        return self._writer().stream(prompt, n_words, sampling, _listed(stop), self._seed(seed))

    def _seed(self, seed: int | None) -> int:
        return self.seed if seed is None else seed

    def _writer(self) -> Generator:
        artifact = self.artifact
        if artifact.backwards:
            raise ConfigError("this language model reads backwards, it cannot continue a text: load a forward one")
        if self._generator is None:
            self._generator = Generator(artifact.architecture, artifact.parameters, artifact.tokenizer)
        return self._generator


def _listed(stop: Sequence[str]) -> Sequence[str]:
    return [stop] if isinstance(stop, str) else stop
