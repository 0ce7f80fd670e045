"""Exported programs, used by the readers that are written beside them, against the models that they came from."""

from __future__ import annotations

import dataclasses
import json
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any

import exported_models
import jax
import numpy as np
import pytest

pytest.importorskip("flatbuffers", reason="flatbuffers, with which JAX writes programs, is not installed")

from ulmfit_jax import ArtifactError, ConfigError
from ulmfit_jax.artifact import Artifact
from ulmfit_jax.interop import export_stablehlo
from ulmfit_jax.text import WordTokenizer

TEXTS = [
    "The kettle was lovely.",
    "",
    " \n\t ",
    "LOVELY kettle!!!! so so so so bad &lt;b&gt; xxunk xxpad <br />",
    "Ein schönes Café ☃ 👩‍🔬 ﷺ \u00a0 हिन्दी 漢字\u200b",
    "a half \ud83d of a pair, and a \x00 zero",
    "The umbrella was dreadful. " * 9,
    "12 days with it. The novel was SPLENDID and the bus was bland. " * 60,
]


def read(monkeypatch: pytest.MonkeyPatch, reader: Path, *arguments: str) -> dict[str, Any]:
    """What a reader defines when it is run as a script."""
    monkeypatch.setattr(sys, "argv", [str(reader), *arguments])
    monkeypatch.syspath_prepend(str(reader.parent))
    monkeypatch.delitem(sys.modules, "text_rules", raising=False)
    return runpy.run_path(str(reader))


@pytest.fixture(
    scope="module",
    params=[{}, {"backwards": True}, {"pool_layers": "all"}],
    ids=["forwards", "backwards", "all layers"],
)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Artifact, list[Path]]:
    artifact = exported_models.classifier(**request.param)
    return artifact, export_stablehlo(artifact, tmp_path_factory.mktemp("export") / "new" / "mine.stablehlo")


def test_the_files_and_their_description(exported: tuple[Artifact, list[Path]]) -> None:
    artifact, files = exported
    folder = files[0].parent
    assert [path.relative_to(folder).as_posix() for path in files] == [
        "mine.stablehlo",
        "mine.json",
        "mine_tokenizer/sentencepiece.model",
        "mine_tokenizer/tokenizer.json",
        "text_rules.py",
        "classify.py",
    ]
    assert sorted(path for path in folder.rglob("*") if path.is_file()) == sorted(files)
    description = json.loads(files[1].read_text())
    assert (description["labels"], description["backwards"]) == (list(artifact.labels), artifact.backwards)
    program = jax.export.deserialize(bytearray(files[0].read_bytes()))
    assert program.platforms == ("cpu", "cuda", "tpu")
    assert [str(given.shape) for given in program.in_avals] == ["(chunks, 8, batch)", "(batch,)"]
    assert [str(given.shape) for given in program.out_avals] == ["(batch, 3)"]


def test_the_reader_gives_the_models_probabilities(
    exported: tuple[Artifact, list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact, files = exported
    reader = read(monkeypatch, files[-1], str(files[1]))
    for text in TEXTS:
        assert reader["ids_of"](text) == artifact.tokenizer.encode(text).tolist()[:: -1 if artifact.backwards else 1]
    expected = exported_models.face(artifact).predict_proba(TEXTS)
    assert np.ptp(expected, axis=0).max() > 0.01  # or the texts would not tell a right program from a wrong one
    np.testing.assert_allclose(reader["probabilities"](TEXTS), expected, atol=1e-6, rtol=0)
    np.testing.assert_allclose(reader["probabilities"](TEXTS[:1]), expected[:1], atol=1e-6, rtol=0)


def test_of_several_labels_each_has_its_own_probability(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    artifact = exported_models.classifier(multi_label=True)
    files = export_stablehlo(artifact, tmp_path / "labels.stablehlo")
    expected = exported_models.face(artifact).predict_proba(TEXTS)
    assert np.abs(expected.sum(axis=1) - 1).max() > 0.01
    reader = read(monkeypatch, files[-1], str(files[1]), TEXTS[0])
    np.testing.assert_allclose(reader["probabilities"](TEXTS), expected, atol=1e-6, rtol=0)
    given = [name for name, p in zip(artifact.labels, expected[0], strict=True) if p > 0.5]
    assert capsys.readouterr().out.startswith(", ".join(given) + " {")


def test_the_reader_is_a_script_that_needs_nothing_of_this_package(exported: tuple[Artifact, list[Path]]) -> None:
    artifact, files = exported
    block = "import runpy, sys; sys.modules['ulmfit_jax'] = sys.modules['flax'] = None; "
    command = [sys.executable, "-c", f"{block}runpy.run_path('classify.py')", "mine.json", *TEXTS[:1], *TEXTS[4:5]]
    done = subprocess.run(command, cwd=files[0].parent, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    model = exported_models.face(artifact)
    for text, line in zip([TEXTS[0], TEXTS[4]], done.stdout.splitlines(), strict=True):
        assert line.startswith(str(model.predict(text)) + " {")
        said = json.loads(line.removeprefix(str(model.predict(text))))
        assert list(said) == list(exported_models.LABELS)
        assert list(said.values()) == pytest.approx(model.predict_proba(text)[0].tolist(), abs=1e-6)


def test_a_language_model_goes_on_from_its_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    artifact = exported_models.language_model()
    files = export_stablehlo(artifact, tmp_path / "lm.stablehlo")
    assert files[-1].name == "continue_text.py"
    reader = read(monkeypatch, files[-1], str(files[1]))
    begun = artifact.tokenizer.encode("The kettle").tolist()
    ids = reader["continued"]("The kettle", 6)
    assert ids[: len(begun)] == begun
    definition = exported_models.language_model_definition(artifact.architecture)
    network = definition.bind(artifact.parameters)
    for length in range(len(begun), len(ids)):
        logits, _ = network.next_token_logits(
            np.array(ids[:length], np.int32)[:, None], network.encoder.initial_state(1)
        )
        scores = np.array(logits[0])
        scores[:3] = -np.inf
        assert scores[ids[length]] == pytest.approx(scores.max(), abs=1e-5)
    assert reader["shown"](ids) == artifact.tokenizer.decode(ids)


@pytest.mark.parametrize(
    ("artifact", "sentence"),
    [
        (exported_models.language_model(backwards=True), "reads backwards"),
        (
            dataclasses.replace(exported_models.language_model(), kind="encoder"),
            r"an encoder gives no answers.*write a \.safetensors file",
        ),
        (
            dataclasses.replace(exported_models.classifier(), tokenizer=WordTokenizer.train(["a good film"] * 3)),
            "tokeniser is of the kind 'words'",
        ),
    ],
    ids=["backwards", "encoder", "words"],
)
def test_what_cannot_be_a_program_is_refused(artifact: Artifact, sentence: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=sentence):
        export_stablehlo(artifact, tmp_path / "new" / "mine.stablehlo")
    assert not list(tmp_path.iterdir())


def test_nothing_is_overwritten_but_readers_are_shared(exported: tuple[Artifact, list[Path]]) -> None:
    artifact, files = exported
    with pytest.raises(ArtifactError, match=r"mine\.stablehlo exists already"):
        export_stablehlo(artifact, files[0])
    second = export_stablehlo(artifact, files[0].with_name("second.stablehlo"))
    assert second[-2:] == files[-2:]
    for path in set(second) - set(files):
        path.unlink()
    second[2].parent.rmdir()
    rules = files[-2]
    content = rules.read_bytes()
    rules.write_bytes(content + b"# mine\n")
    with pytest.raises(ArtifactError, match=r"text_rules\.py exists already"):
        export_stablehlo(artifact, files[0].with_name("third.stablehlo"))
    rules.write_bytes(content)
    assert not files[0].with_name("third.stablehlo").exists()


def test_names_and_missing_packages_are_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"mine\.hlo is no name of a StableHLO file: give one that ends in \.stable"):
        export_stablehlo(exported_models.classifier(), tmp_path / "mine.hlo")
    monkeypatch.setitem(sys.modules, "flatbuffers", None)
    with pytest.raises(ConfigError, match=r"needs the package flatbuffers: install it with pip install '\.\["):
        export_stablehlo(exported_models.classifier(), tmp_path / "mine.stablehlo")
