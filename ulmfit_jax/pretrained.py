"""Finding models: shipped ones by name, others by folder."""

from __future__ import annotations

from pathlib import Path

from ulmfit_jax.errors import ArtifactError

_PLACES = (Path(__file__).parents[1] / "checkpoints", Path(__file__).parent / "checkpoints")
"""Where shipped models lie: beside the package in a checkout, inside it in an installed wheel."""


SHIPPED = "wikipedia-small-forward"
"""The language model that training starts from if nothing is said."""

SHIPPED_PAIR = ("wikipedia-small-forward", "wikipedia-small-backward")
"""The same for `--both-directions`, where they are shipped."""


def shipped_models() -> dict[str, Path]:
    """Folder of each shipped model by name."""
    folders = [folder for place in reversed(_PLACES) if place.is_dir() for folder in sorted(place.iterdir())]
    return {folder.name: folder for folder in folders if (folder / "manifest.json").is_file()}


def model_folder(name: str | Path) -> Path:
    """The folder of a model: a shipped one's name, a model folder, or the run folder that a training command wrote.

    Raises:
        ArtifactError: there is none; lists the shipped models.
    """
    folder = Path(name)
    for candidate in (folder / "model", folder):
        if (candidate / "manifest.json").is_file():
            return candidate
    shipped = shipped_models()
    if str(name) in shipped and not (folder / "config.json").is_file():  # else it is a run that has not finished
        return shipped[str(name)]
    if folder.suffix in (".pth", ".h5", ".pkl"):
        raise ArtifactError(f"{folder} is no model folder: ulmfit import-fastai makes one of what fastai has saved")
    known = ", ".join(shipped) or "none in this installation"
    if not folder.exists():
        raise ArtifactError(f"there is no model {str(name)!r}: give a model folder or a shipped model's name ({known})")
    raise ArtifactError(_no_model_in(folder, known))


def _no_model_in(folder: Path, known: str) -> str:
    """What a folder without a finished model may be, and what to do."""
    if runs := sorted(folder.glob("seed-*/model/manifest.json")):
        return (
            f"{folder} holds the runs of several seeds, a model in each: give one, such as {runs[0].parents[1]}, or "
            f"join them with ulmfit ensemble {folder}/seed-* --out DIR"
        )
    if strays := sorted(folder.glob(".model.old.*/model")):
        return f"{folder} has no model, as its replacement was broken off: the one before is {strays[0]}, move it back"
    if (folder / "parameters").exists():
        return f"{folder} is a model folder without its manifest.json: copy the model folder again"
    if (folder / "config.json").is_file():
        return (
            f"{folder} is a run that has not finished, or whose model was not saved: give the training command again, "
            "or call fit with this run_dir again and then save"
        )
    return f"{folder} is not a model folder (it has no manifest.json); shipped models: {known}"


def language_models_of(model: Path) -> list[Path]:
    """Folders of the language models that a run has left beside its classifier, or those of its runs.

    Args:
        model: the model folder of the run, `RUN/model`.
    """
    run = model.parent
    places = [run / "language_model", *sorted(run.glob("*/language_model"))]
    return [place for place in places if model.name == "model" and (place / "model" / "manifest.json").is_file()]
