"""What `ulmfit doctor` looks at: packages, devices, processor, memory, disk, models."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ulmfit_jax.errors import UlmfitError

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "tensorflow-datasets", "sentencepiece", "numpy")
_EXTRAS = {
    "serve": ("starlette", "uvicorn"),
    "export": ("flatbuffers", "safetensors"),
    "spacy": ("spacy",),
    "fastai": ("torch",),
}
"""What commands need beside these, by the extra of `pip install` that brings it."""
_FEATURES = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
_FAST_BFLOAT16 = {"avx512_bf16", "amx_bf16"}
_LITTLE_MEMORY, _LITTLE_DISK, _NO_DISK = 4e9, 5e9, 2e8
"""Bytes: training the shipped model takes 2 to 3 GB, a run folder with its states 0.5 to 1 GB."""


@dataclass(frozen=True)
class Check:
    """One line of the diagnosis.

    Attributes:
        name: what was looked at.
        found: what was found.
        advice: what to do about it; empty where there is nothing to do.
        broken: whether something does not work as it is.
    """

    name: str
    found: str
    advice: str = ""
    broken: bool = False


def python_and_packages() -> list[Check]:
    """Python and the packages that matter, against the versions that this package asks for."""
    required = _requirements()
    checks = [Check("python", f"{platform.python_version()}, {platform.machine()} {platform.system()}")]
    for name in _PACKAGES:
        version = _installed_version(name)
        if version is None:
            checks.append(Check(name, "not installed", f"pip install '{name}{required.get(name, '')}'", broken=True))
            continue
        wanted = required.get(name, "")
        if wanted and not _fits(version, wanted):
            advice = f"this version of ulmfit-jax is made for {wanted}: pip install '{name}{wanted}'"
            checks.append(Check(name, version, advice, broken=True))
        else:
            checks.append(Check(name, version))
    return checks


def extras() -> Check:
    """Which of the extras that some commands need are installed."""
    found = {name: None not in map(_installed_version, packages) for name, packages in _EXTRAS.items()}
    lines = [", ".join(name for name, there in found.items() if there) or "none installed"]
    if absent := [name for name, there in found.items() if not there]:
        lines.append(
            f"not installed: {', '.join(absent)} (pip install '.[{','.join(absent)}]' in the folder of ulmfit-jax)"
        )
    return Check("extras", "; ".join(lines))


def _installed_version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _requirements() -> dict[str, str]:
    """The version ranges of this package's own requirements, without extras; none where it is not installed."""
    from packaging.requirements import Requirement

    try:
        lines = importlib.metadata.requires("ulmfit-jax") or []
    except importlib.metadata.PackageNotFoundError:
        return {}
    found = [Requirement(line) for line in lines]
    return {entry.name: str(entry.specifier) for entry in found if entry.marker is None or entry.marker.evaluate()}


def _fits(version: str, wanted: str) -> bool:
    from packaging.specifiers import SpecifierSet

    return SpecifierSet(wanted).contains(version, prereleases=True)


def devices() -> Check:
    """What JAX computes on."""
    from ulmfit_jax.training.mapping import Devices

    try:
        found = Devices().devices
    except UlmfitError as error:
        return Check("devices", "none", str(error), broken=True)
    names = ", ".join(sorted({device.device_kind for device in found}))
    text = f"{len(found)} {found[0].platform} ({names})"
    if found[0].platform == "cpu" and (shutil.which("nvidia-smi") or Path("/dev/nvidia0").exists()):
        return Check("devices", text, "there is an NVIDIA device, but JAX does not use it: install the extra cuda")
    return Check("devices", text)


def processor() -> Check:
    """Cores, and instructions that matter."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    features = processor_features()
    if features is None:
        return Check("processor", f"{cores} cores, instructions not known")
    known = [name for name in _FEATURES if name in features]
    text = f"{cores} cores, {', '.join(known) or 'none of ' + ', '.join(_FEATURES)}"
    fast = _FAST_BFLOAT16 & features
    return Check("processor", text, "training is faster with --precision bfloat16 here" if fast else "")


def processor_features() -> set[str] | None:
    """Names of the processor's instructions as Linux lists them; None where it does not."""
    try:
        lines = Path("/proc/cpuinfo").read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return None
    flags = [line.partition(":")[2].split() for line in lines if line.lower().startswith(("flags", "features"))]
    return set(flags[0]) if flags else None


def memory() -> Check:
    """Memory that is free for a training."""
    import psutil

    free, total = psutil.virtual_memory().available, psutil.virtual_memory().total
    limit = _group_limit()
    if limit is not None and limit < total:
        total, free = limit, min(free, limit)
    text = f"{_gigabytes(free)} of {_gigabytes(total)} free"
    advice = "end other programs, or choose a small --batch-size or --preset" if free < _LITTLE_MEMORY else ""
    return Check("memory", text, advice)


def _group_limit() -> int | None:
    """The memory that the container or control group may use, where Linux sets a limit."""
    try:
        return int(Path("/sys/fs/cgroup/memory.max").read_text("ascii"))
    except (OSError, ValueError):  # no control groups, or "max"
        return None


def disk(name: str, place: Path) -> Check:
    """Free disk where `place` is or would be, and whether files can be written there."""
    existing = next(path for path in (place.absolute(), *place.absolute().parents) if path.exists())
    free = shutil.disk_usage(existing).free
    text = f"{_gigabytes(free)} free in {existing}"
    try:
        with tempfile.NamedTemporaryFile(dir=existing):
            pass
    except OSError as error:
        return Check(name, text, f"it cannot be written ({error.strerror}): choose another place", broken=True)
    advice = f"free some space: a run takes up to {_gigabytes(_LITTLE_DISK)}" if free < _LITTLE_DISK else ""
    return Check(name, text, advice, broken=free < _NO_DISK)


def compilation_cache() -> Check:
    """Where JAX keeps compiled programs."""
    import jax

    place: str | None = jax.config.values["jax_compilation_cache_dir"]
    if not place:
        return Check("program cache", "each run's own; JAX_COMPILATION_CACHE_DIR may name a folder for all runs")
    return disk("program cache", Path(place))


def models() -> list[Check]:
    """Whether each shipped model loads."""
    from ulmfit_jax.artifact import load_artifact
    from ulmfit_jax.pretrained import shipped_models

    checks = []
    for name, folder in shipped_models().items():
        try:
            artifact = load_artifact(folder)
        except UlmfitError as error:
            checks.append(Check(name, "does not load", f"{error}; or install ulmfit-jax again", broken=True))
            continue
        sizes = artifact.architecture
        checks.append(Check(name, f"loads: {artifact.kind.replace('_', ' ')}, {sizes.parameter_count():,} parameters"))
    missing = "give --pretrained a model folder, or make one with ulmfit pretrain"
    return checks or [Check("models", f"none in this installation ({sys.prefix})", missing)]


def _gigabytes(size: float) -> str:
    return f"{size / 1e9:,.1f} GB"
