"""A model as a program: StableHLO with the parameters in it, which JAX runs without this package.

`jax.export` makes it, for CPUs, CUDA and TPUs at once, with shapes left open: any batch, and any number of chunks of a
document from `min_chunks` on. That many are one more than are pooled, so that the program always has its warm-up
before the pooled part (`ulmfit_jax.nn.documents`); chunks of padding are skipped at run time. JAX promises to read such
a file for at least six months after the version that wrote it.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

import ulmfit_jax
from ulmfit_jax.artifact import Artifact
from ulmfit_jax.errors import ArtifactError, ConfigError
from ulmfit_jax.interop.new_files import Writer, holds, write_new
from ulmfit_jax.interop.tokenizer_files import tokenizer_folder, tokenizer_writers
from ulmfit_jax.nn.awd_lstm import LanguageModelNetwork
from ulmfit_jax.nn.documents import MAX_LENGTH
from ulmfit_jax.nn.lstm_state import LstmState
from ulmfit_jax.text.rules import RULES_VERSION, SPECIALS
from ulmfit_jax.text.sentencepiece import SentencePieceTokenizer
from ulmfit_jax.training.classifier import classifier_definition
from ulmfit_jax.training.language_model import language_model_definition

SUFFIX = ".stablehlo"
PLATFORMS = ("cpu", "cuda", "tpu")
FORMAT_VERSION = 1

_READERS = {"classifier": "classify.py", "language_model": "continue_text.py"}
_RULES = "text_rules.py"


def export_stablehlo(artifact: Artifact, file: str | Path) -> list[Path]:
    """Write `NAME.stablehlo` and, beside it, what is needed to use it without this package.

    `NAME.json` describes inputs, outputs and labels, `NAME_tokenizer/` holds the tokeniser, `text_rules.py` the text
    rules, and `classify.py` or `continue_text.py` is a reader of some 30 lines. The last two are the same for every
    model: where they are there already they stay.

    Args:
        artifact: a classifier, or a language model that reads forwards, with a SentencePiece tokeniser.
        file: the place of the `.stablehlo` file.

    Returns:
        The files, the program first and the reader last.

    Raises:
        ConfigError: flatbuffers is not installed, the name has another ending, or the model is none of these.
        ArtifactError: one of the files exists already or cannot be written.
    """
    file = Path(file)
    if file.suffix != SUFFIX:
        raise ConfigError(f"{file} is no name of a StableHLO file: give one that ends in {SUFFIX}")
    _check_model(artifact)
    _check_flatbuffers()
    program, description = (_classifier if artifact.kind == "classifier" else _language_model)(artifact)
    writers: dict[Path, Writer] = {
        file: holds(bytes(program.serialize())),
        file.with_suffix(".json"): holds(_as_json(description | _surroundings(artifact, file))),
        **tokenizer_writers(artifact.tokenizer, file),
    }
    shared = {
        file.with_name(_RULES): (resources.files("ulmfit_jax.text") / "rules.py").read_bytes(),
        file.with_name(_READERS[artifact.kind]): (
            resources.files("ulmfit_jax.interop") / "readers" / _READERS[artifact.kind]
        ).read_bytes(),
    }
    written = {path: holds(content) for path, content in shared.items() if not _holds_already(path, content)}
    write_new(writers | written)
    return [*writers, *shared]


def _check_model(artifact: Artifact) -> None:
    if artifact.kind not in _READERS:
        raise ConfigError(
            f"an {artifact.kind} gives no answers, so there is no program to export: give a classifier or a language "
            "model, or write a .safetensors file"
        )
    if artifact.kind == "language_model" and artifact.backwards:
        raise ConfigError(
            "this language model reads backwards, it cannot continue a text: export a forward one, or write a "
            ".safetensors file"
        )
    if not isinstance(artifact.tokenizer, SentencePieceTokenizer):
        raise ConfigError(
            f"this model's tokeniser is of the kind {artifact.tokenizer.kind!r}, but readers of StableHLO files cut "
            "texts with SentencePiece: export a model with a SentencePiece tokeniser, or write a .safetensors file"
        )


def _check_flatbuffers() -> None:
    try:
        import flatbuffers  # noqa: F401
    except ImportError as error:
        raise ConfigError(
            "jax.export needs the package flatbuffers: "
            "install it with pip install '.[export]' in the folder of ulmfit-jax"
        ) from error


def _classifier(artifact: Artifact) -> tuple[Any, dict[str, Any]]:
    """The program `(tokens, lengths) -> probabilities` and its part of the description."""
    assert artifact.head is not None  # or it were no classifier
    definition = classifier_definition(artifact.architecture, artifact.head)
    bptt = int(artifact.settings.get("bptt", 72))
    max_length = int(artifact.settings.get("max_length", MAX_LENGTH))
    min_chunks = max(max_length // bptt, 1) + 1

    def probabilities(tokens: jax.Array, lengths: jax.Array) -> jax.Array:
        network = definition.bind(artifact.parameters, artifact.statistics)
        scores = network.scores(tokens, lengths, max_length) / artifact.temperature
        return jax.nn.sigmoid(scores) if artifact.multi_label else jax.nn.softmax(scores)

    chunks, batch = jax.export.symbolic_shape("chunks, batch", constraints=[f"chunks >= {min_chunks}"])
    program = jax.export.export(jax.jit(probabilities), platforms=PLATFORMS)(
        jax.ShapeDtypeStruct((chunks, bptt, batch), jnp.int32), jax.ShapeDtypeStruct((batch,), jnp.int32)
    )
    return program, {
        "inputs": {"tokens": f"int32 [chunks, {bptt}, batch]", "lengths": "int32 [batch]"},
        "outputs": {"probabilities": f"float32 [batch, {len(artifact.labels)}]"},
        "labels": list(artifact.labels),
        "multi_label": artifact.multi_label,
        "backwards": artifact.backwards,
        "bptt": bptt,
        "min_chunks": min_chunks,
    }


def _language_model(artifact: Artifact) -> tuple[Any, dict[str, Any]]:
    """The program `(tokens, state) -> (logits, state)`, the state a flat list, and its part of the description."""
    definition = language_model_definition(artifact.architecture)
    sizes = [size for _, hidden in artifact.architecture.layer_sizes() for size in (hidden, hidden)]

    def next_token(tokens: jax.Array, state: Sequence[jax.Array]) -> tuple[jax.Array, list[jax.Array]]:
        network: LanguageModelNetwork = definition.bind(artifact.parameters)
        layers = tuple(LstmState(*pair) for pair in zip(state[::2], state[1::2], strict=True))
        logits, after = network.next_token_logits(tokens, layers)
        return logits, [array for layer in after for array in layer]

    time, batch = jax.export.symbolic_shape("time, batch")
    state = [jax.ShapeDtypeStruct((batch, size), jnp.float32) for size in sizes]
    program = jax.export.export(jax.jit(next_token), platforms=PLATFORMS)(
        jax.ShapeDtypeStruct((time, batch), jnp.int32), state
    )
    shapes = [f"float32 [batch, {size}]" for size in sizes]
    return program, {
        "inputs": {"tokens": "int32 [time, batch]", "state": shapes},
        "outputs": {"logits": f"float32 [batch, {artifact.architecture.vocabulary_size}]", "state": shapes},
        "state_sizes": sizes,
    }


def _surroundings(artifact: Artifact, file: Path) -> dict[str, Any]:
    """The part of the description that every kind of model has."""
    tokenizer = f"{tokenizer_folder(file).name}/{SentencePieceTokenizer.file_name}"
    return {
        "format_version": FORMAT_VERSION,
        "kind": artifact.kind,
        "program": file.name,
        "platforms": PLATFORMS,
        "tokenizer": {"kind": artifact.tokenizer.kind, "file": tokenizer, "rules": RULES_VERSION},
        "specials": len(SPECIALS),
        "made_with": {"ulmfit_jax": ulmfit_jax.__version__, "jax": jax.__version__},
    }


def _as_json(description: dict[str, Any]) -> bytes:
    return (json.dumps(description, indent=2) + "\n").encode()


def _holds_already(path: Path, content: bytes) -> bool:
    try:
        return path.read_bytes() == content
    except FileNotFoundError:
        return False
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read ({error.strerror}): choose another place") from error
