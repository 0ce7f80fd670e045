"""Shared test set-up: four fake CPU devices, strict JAX promotion rules, and where the real data lies."""

from __future__ import annotations

import atexit
import gc
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Tracing and compiling take nearly all of the suite's time: unoptimised code from XLA's older emitters compiles in a
# quarter of it, and a program that several tests, workers or their subprocesses need is compiled once. (XLA refuses
# flags that it does not know: where a later one has no older emitters, leave that flag out.)
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "")
    + " --xla_force_host_platform_device_count=4 --xla_backend_optimization_level=0"
    + " --xla_cpu_use_fusion_emitters=false"
)
os.environ["JAX_COMPILATION_CACHE_DIR"] = os.environ.get("ULMFIT_TEST_PROGRAMS") or tempfile.mkdtemp(prefix="ulmfit-")
os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
# A program that another process is writing at that moment, or was killed at, is compiled anew, with this warning.
os.environ["PYTHONWARNINGS"] = "ignore:Error reading persistent compilation cache entry"

import jax
import pytest
from hypothesis import HealthCheck, settings

from ulmfit_jax.training.compiled_programs import make_room

if "ULMFIT_TEST_PROGRAMS" not in os.environ:  # given, or of the process that has started this worker
    os.environ["ULMFIT_TEST_PROGRAMS"] = os.environ["JAX_COMPILATION_CACHE_DIR"]
    atexit.register(shutil.rmtree, os.environ["JAX_COMPILATION_CACHE_DIR"], ignore_errors=True)

jax.config.update("jax_platforms", "cpu")
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

# Tracing makes many objects that stay; that Python looks through them for garbage again and again takes a seventh of
# the time.
gc.set_threshold(100_000, 50, 100)

settings.register_profile("suite", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", settings.get_profile("suite"), max_examples=3000)  # make fuzz
settings.load_profile("suite")


PAGES = "tests/test_pages.py"
SLOW = (
    PAGES,
    "tests/training/test_processes.py",
    "tests/experiments/",
    "tests/cli/test_shipped_end_to_end.py",
)
LONG = (*SLOW, "tests/test_text_classifier.py")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Modules that take minutes come first, so that no worker is left with one of them at the end."""
    for item in items:
        if item.nodeid.startswith(SLOW):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With `--dist loadscope` a module is one worker's, for its fixtures' sake, but for the pages, which share none."""
    from xdist.scheduler import LoadScopeScheduling

    class ByModule(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return nodeid if nodeid.startswith(PAGES) else super()._split_scope(nodeid)

    return ByModule(config, log) if config.getoption("dist") == "loadscope" else None


@pytest.fixture(scope="module", autouse=True)
def _few_programs_at_a_time() -> Iterator[None]:
    """Lets go of compiled programs earlier than a training does: a module of tests may compile very many."""
    yield
    make_room(share=0.3)


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of real data sets (its layout is described in tests/README.md); skips where it is absent."""
    folder = Path(os.environ.get("ULMFIT_DATA_DIR", Path(__file__).parents[2] / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"real data not found at {folder}; set ULMFIT_DATA_DIR to run this test")
    return folder
