"""`ulmfit finetune-lm`: goes on from a language model, resumes, and is refused what makes no sense."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import Outcome, Trained, reviews, tree, write_csv

from ulmfit_jax.progress import ConsoleProgress

Run = Callable[..., Outcome]


@pytest.mark.slow
def test_interrupted_and_gone_on_with(
    language_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ulmfit: Run
) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("\n".join(text for text, _ in reviews(60, 5)), "utf-8")
    out = tmp_path / "run"
    command = ["finetune-lm", texts, "--out", out, "--pretrained", language_model, "--epochs", "2", "--devices", "1"]

    def interrupt(progress: ConsoleProgress, row: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(ConsoleProgress, "epoch_done", interrupt)
        assert ulmfit(*command, "--json").code == 130
    resumed = ulmfit(*command, "--json")
    assert resumed.code == 0
    assert "going on after step" in resumed.err
    assert resumed.json["language_model"].keys() == {"perplexity", "accuracy", "loss"}
    assert list(resumed.json["seconds"]) == ["lm"]
    again = ulmfit("finetune-lm", "--config", out / "ulmfit.toml", "--json")
    assert (again.code, again.json) == (0, resumed.json)
    assert again.err == f"{out} holds the finished run of this command: nothing is trained again\n"
    assert "language model  perplexity" in ulmfit(*command).out

    provenance = ulmfit("info", out, "--json").json["provenance"]
    assert (provenance["trained_from"], provenance["stages"]) == (str(language_model), ["lm, 2 epochs"])

    before = tree(out)
    changes = {
        "--epochs": ("3", "whose stages have the epochs lm 2, but lm 3 are"),
        "--seed": ("1", "with seed = 0, but 1 is"),
    }
    for option, (value, said) in changes.items():
        refused = ulmfit(*command, option, value)
        assert refused.code == 2
        assert f"holds a run {said} asked for now" in refused.err.splitlines()[-1]
    assert "holds a run of ulmfit finetune-lm" in ulmfit("pretrain", texts, "--out", out).err
    assert tree(out) == before


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["--pretrained", "none"], ["--pretrained none would be training from scratch: that is ulmfit pretrain"]),
        (["--pretrained", "nothing"], ["there is no model 'nothing'"]),
        (["--epochs", "0"], ["'0' is not a whole number of at least 1"]),
        (["--text-column", "body", "--documents", "words"], ["invalid choice: 'words'"]),
    ],
)
def test_wrong_turns(arguments: list[str], parts: list[str], tmp_path: Path, ulmfit: Run) -> None:
    data = write_csv(tmp_path / "texts.csv", reviews(10, 1))
    outcome = ulmfit("finetune-lm", data, "--out", tmp_path / "run", *arguments)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.count("\n") == 1
    assert all(part in outcome.err for part in parts)
    assert not (tmp_path / "run").exists()


def test_wrong_data_and_wrong_models(trained: Trained, language_model: Path, tmp_path: Path, ulmfit: Run) -> None:
    out = tmp_path / "run"
    outcome = ulmfit("finetune-lm", trained.train, "--out", out, "--pretrained", trained.out)
    assert "holds a classifier, but a language model is needed here" in outcome.err
    outcome = ulmfit("finetune-lm", tmp_path / "no.txt", "--out", out, "--pretrained", language_model)
    assert "no.txt does not exist" in outcome.err
    assert not out.exists()
    (tmp_path / "few.txt").write_text("a\n", "utf-8")
    outcome = ulmfit("finetune-lm", tmp_path / "few.txt", "--out", out, "--pretrained", language_model)
    assert (outcome.code, "too few" in outcome.err) == (2, True)
