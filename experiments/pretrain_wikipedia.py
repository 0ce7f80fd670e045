"""Pretrain a language model on English Wikipedia and measure it on WikiText-103.

Command of the shipped model (resumable: give it again after an interruption):

    python experiments/pretrain_wikipedia.py --data-dir DATA --work-dir WORK --out wikipedia-small

DATA holds `wikipedia-en/part-*-of-8.txt.xz` (documents separated by blank lines) and `wikitext-103/wiki.valid.tokens`.
Hardware, time and figures: experiments/README.md.

Perplexity per word: the validation text is put back into running text, the model's negative log likelihood is summed
over all pieces and divided by the number of tokens of the original file (its `<eos>` per line included). The file's
`<unk>` tokens (a word that the original authors blanked out) are read by the model but neither scored nor counted.
Characters that the tokeniser does not know are not scored either.
"""

from __future__ import annotations

import argparse
import itertools
import math
import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import jax
import numpy as np

from running import run_or_explain
from ulmfit_jax.artifact import Artifact, load_artifact, save_artifact
from ulmfit_jax.data import Corpus, LanguageModelStream, build_corpus, iter_texts, open_corpus
from ulmfit_jax.errors import ConfigError
from ulmfit_jax.nn.architecture import PRESETS, Architecture, preset
from ulmfit_jax.nn.parameters import Tree, parameters_fingerprint, to_device
from ulmfit_jax.nn.products import PRECISIONS
from ulmfit_jax.progress import ConsoleProgress
from ulmfit_jax.text import UNK_ID, SentencePieceTokenizer, Tokenizer, load_tokenizer
from ulmfit_jax.training.language_model import document_ends, evaluation_step, language_model_definition, zero_carry
from ulmfit_jax.training.loop_options import LoopOptions
from ulmfit_jax.training.mapping import Devices
from ulmfit_jax.training.recipes import pretrain_stages
from ulmfit_jax.training.run_folder import RunFolder
from ulmfit_jax.training.runs import LanguageModelSettings, RunContext, train_language_model

N_PARTS = 8
VALID_DOCUMENTS = 60
TOKENIZER_DOCUMENTS = 4_000
_LATER = {*PRESETS["small"], "most_documents"}
"""Options that runs from before them have not recorded; not recorded where they are not given."""


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument(
        "--work-dir", type=Path, required=True, help="tokens and training state; large, can be deleted after"
    )
    parser.add_argument("--out", type=Path, required=True, help="the model folder to write")
    parser.add_argument("--preset", default="small", choices=sorted(PRESETS))
    for name in PRESETS["small"]:
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, help="instead of the preset's")
    parser.add_argument(
        "--parts", type=int, default=2, help="parts of the corpus to train on, 1 to 7 (the 8th validates)"
    )
    parser.add_argument("--first-part", type=int, default=0, help="number of the first of these parts")
    first = parser.add_mutually_exclusive_group()
    first.add_argument("--most-tokens", type=int, help="train on the first documents, up to so many tokens")
    first.add_argument("--most-documents", type=int, help="train on so many of the first documents")
    parser.add_argument(
        "--tokenizer", type=Path, help="folder with the tokeniser; else one is trained on the first documents"
    )
    parser.add_argument("--start", type=Path, help="model folder to go on from, with its tokeniser; sizes are its own")
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--bptt", type=int, default=72)
    parser.add_argument("--learning-rate", type=float, default=5e-3)
    parser.add_argument(
        "--drop-mult", type=float, default=0.0, help="less than one pass over the text: nothing to regularise"
    )
    parser.add_argument("--penalties", type=float, default=0.0, help="times fastai's AR of 2 and TAR of 1")
    parser.add_argument("--precision", default="float32", choices=PRECISIONS, help="of matrix products")
    parser.add_argument("--backwards", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--hardware", default="2 CPU cores", help="said on the card")
    options = parser.parse_args()
    if not 0 <= options.first_part < options.first_part + options.parts < N_PARTS:
        parser.error(f"--first-part and --parts have to name some of the parts 0 to {N_PARTS - 2}")
    own = [f"--{name.replace('_', '-')}" for name in PRESETS["small"] if getattr(options, name) is not None]
    if options.start is not None and own:
        parser.error(f"--start has sizes of its own: leave {own[0]} out")
    if options.tokenizer is not None and "--vocabulary-size" in own:
        parser.error("--tokenizer has a vocabulary of its own: leave --vocabulary-size out")
    return options


def part(options: argparse.Namespace, number: int) -> str:
    """Location of a part of the corpus."""
    return str(options.data_dir / "wikipedia-en" / f"part-{number}-of-{N_PARTS}.txt.xz")


def tokenizer_for(options: argparse.Namespace) -> Tokenizer:
    """The tokeniser that is asked for, or that of the work folder, trained on first documents if it is not there."""
    if options.tokenizer is not None:
        return load_tokenizer(options.tokenizer)
    size = options.vocabulary_size
    folder = options.work_dir / ("tokenizer" if size is None else f"tokenizer-{size}")
    if not folder.exists():
        texts = itertools.islice(iter_texts(part(options, 0)), TOKENIZER_DOCUMENTS)
        size = PRESETS[options.preset]["vocabulary_size"] if size is None else size
        tokenizer = SentencePieceTokenizer.train(texts, vocabulary_size=size)
        tokenizer.save(folder)
    return load_tokenizer(folder)


def corpora(options: argparse.Namespace, tokenizer: Tokenizer) -> tuple[Corpus, Corpus]:
    """Token arrays of the training parts and of the first documents of the last part."""
    last = options.first_part + options.parts
    tokens = options.work_dir / f"tokens-{tokenizer.fingerprint()[:12]}"
    train, valid = tokens / f"train-{options.first_part}-to-{last - 1}", tokens / "valid"
    if not train.exists():
        texts = itertools.chain.from_iterable(iter_texts(part(options, n)) for n in range(options.first_part, last))
        build_corpus(texts, tokenizer, train, workers=2)
    if not valid.exists():
        build_corpus(itertools.islice(iter_texts(part(options, N_PARTS - 1)), VALID_DOCUMENTS), tokenizer, valid)
    return first_documents(open_corpus(train), options), open_corpus(valid)


def first_documents(corpus: Corpus, options: argparse.Namespace) -> Corpus:
    """As many of the first documents as are asked for, or as have together no more tokens than that."""
    count = options.most_documents
    if options.most_tokens is not None:
        count = int(np.searchsorted(corpus.offsets, options.most_tokens, side="right")) - 1
        if not count:
            raise ConfigError(f"the first document has more than {options.most_tokens:,} tokens")
    if count is None:
        return corpus
    if not 0 < count <= len(corpus):
        raise ConfigError(f"{len(corpus):,} documents are there to train on, {count:,} are asked for")
    return corpus.split(count)[0]


def sizes(options: argparse.Namespace, vocabulary_size: int) -> Architecture:
    """Those of a new network: the preset's, but for those that are given."""
    given = {name: getattr(options, name) for name in PRESETS[options.preset] if getattr(options, name) is not None}
    return replace(preset(options.preset), **{**given, "vocabulary_size": vocabulary_size})


def main() -> None:
    """Tokenise, train, measure, save."""
    options = arguments()
    start = load_artifact(options.start, "language_model") if options.start is not None else None
    if start is not None and start.backwards != options.backwards:
        raise ConfigError(
            f"{options.start} reads the other way: {'give' if start.backwards else 'leave'} --backwards"
            f"{'' if start.backwards else ' out'}"
        )
    tokenizer = start.tokenizer if start is not None else tokenizer_for(options)
    train, valid = corpora(options, tokenizer)
    architecture = start.architecture if start is not None else sizes(options, len(tokenizer.vocabulary))
    print(
        f"{train.n_tokens:,} tokens to train on, {valid.n_tokens:,} to validate, "
        f"{architecture.parameter_count():,} parameters"
    )
    settings = LanguageModelSettings(
        options.batch_size,
        options.bptt,
        options.drop_mult,
        2 * options.penalties,
        options.penalties,
        reset_state=True,
        backwards=options.backwards,
        precision=options.precision,
    )
    stages = pretrain_stages(options.epochs, options.learning_rate)
    config = {
        name: str(value)
        for name, value in vars(options).items()
        if name not in ("data_dir", "work_dir", "out", "hardware") and (value is not None or name not in _LATER)
    } | {
        "tokenizer": tokenizer.fingerprint(),
        "start_parameters": parameters_fingerprint(start.parameters if start is not None else {}),
        "tokens": train.n_tokens,
        "stages": [stage.to_dict() for stage in stages],
    }
    devices = Devices(1)
    context = RunContext(
        devices,
        RunFolder(options.work_dir / f"run-{options.seed}", config),
        LoopOptions(save_seconds=180),
        ConsoleProgress(),
    )
    parameters = start.parameters if start is not None else None
    result = train_language_model(architecture, parameters, train, valid, stages, settings, options.seed, context)
    trained = Artifact("language_model", architecture, tokenizer, result.parameters, backwards=options.backwards)
    report = measure(options.data_dir, trained)
    hours = sum(row["seconds"] for row in result.history) / 3600
    provenance = {
        "text": f"parts {options.first_part + 1} to {options.first_part + options.parts} of {N_PARTS} of English "
        "Wikipedia articles (2015), CC BY-SA 3.0",
        "training": {
            "tokens": train.n_tokens,
            "steps": result.history[-1]["step"],
            "epochs": options.epochs,
            "batch_size": options.batch_size,
            "bptt": options.bptt,
            "peak_learning_rate": options.learning_rate,
            "precision": options.precision,
            "reset_state": True,
            "hours": round(hours, 2),
            "hardware": options.hardware,
            "seed": options.seed,
            "date": datetime.now(UTC).date().isoformat(),
        },
        **({"started_from": start.provenance} if start is not None else {}),
        "measures": {"perplexity per token, held-out Wikipedia": round(result.history[-1]["perplexity"], 2), **report},
        "intended_use": "a start for fine-tuning on your own texts; it holds facts and prejudices of its source",
    }
    artifact = replace(trained, settings={"bptt": options.bptt, "reset_state": True}, provenance=provenance)
    save_artifact(artifact, options.out, half_precision=True)
    print(f"{report}\nsaved {options.out}")


def measure(data_dir: Path, artifact: Artifact) -> dict[str, float]:
    """Perplexity per word and bits per character on the WikiText-103 validation text, with the parameters as stored."""
    documents, words, characters = wikitext(data_dir / "wikitext-103" / "wiki.valid.tokens")
    corpus = Corpus.from_arrays([artifact.tokenizer.encode(text) for text in documents])
    devices = Devices(1)
    stored = devices.replicate(to_device(half_precision(artifact.parameters)))
    step = evaluation_step(language_model_definition(artifact.architecture), devices, document_ends(artifact.backwards))
    stream = LanguageModelStream(corpus, 4, 512, backwards=artifact.backwards)
    carry, total = zero_carry(artifact.architecture, 4, devices), 0.0
    for inputs, targets in stream.epoch(0):
        scored = np.where(targets == UNK_ID, -1, targets).astype(np.int32)
        split = (devices.split_rows(inputs, 1), devices.split_rows(scored, 1))
        scores, carry = step(stored, *split, carry)
        total += float(scores.loss)
    total *= corpus.n_tokens / stream.tokens_per_epoch
    return {
        "perplexity per word, WikiText-103 validation": round(math.exp(total / words), 2),
        "bits per character, WikiText-103 validation": round(total / math.log(2) / characters, 4),
    }


def half_precision(parameters: Tree) -> Tree:
    """The parameters rounded as they are stored."""
    return jax.tree.map(lambda leaf: np.asarray(leaf).astype(np.float16), parameters)


def wikitext(path: Path) -> tuple[list[str], int, int]:
    """The articles of a WikiText file as running text, and how many of its tokens and characters are scored: not those
    of `<unk>`, and of white space in a row one."""
    lines = path.read_text("utf-8").split("\n")[:-1]
    articles: list[list[str]] = [[]]
    for line in lines:
        if re.fullmatch(r" = [^=].*[^=] = ", line) and any(map(str.strip, articles[-1])):
            articles.append([])
        articles[-1].append(line)
    words = sum(len(line.split()) + 1 for line in lines) - sum(line.split().count("<unk>") for line in lines)
    texts = [running_text("\n".join(article)) for article in articles]
    return texts, words, sum(len(" ".join(text.replace("<unk>", "").split())) for text in texts)


def running_text(text: str) -> str:
    """WikiText's spaced-out tokens as one would write them."""
    text = re.sub(r" @([-,.])@ ", r"\1", text)
    text = re.sub(r"^ (= )+(.*?)( =)+ $", r"\2.", text, flags=re.MULTILINE)
    text = re.sub(r" ([,.;:!?%)\]])", r"\1", text)
    text = re.sub(r"([(\[$£€]) ", r"\1", text)
    text = re.sub(r'" (.*?) "', r'"\1"', text)
    text = re.sub(r" '(s|t|d|m|re|ve|ll)\b", r"'\1", text.replace(" n't", "n't"))
    return text.replace("<unk>", " <unk> ")


if __name__ == "__main__":
    run_or_explain("pretrain_wikipedia", main)
