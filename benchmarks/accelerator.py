"""Training steps of the language model on an accelerator: this package's choices beside each other and beside fastai.

    python benchmarks/accelerator.py ours                  # every variant whose name contains one of the words given
    python benchmarks/accelerator.py ours full --profile   # and the kernels that the first one's time goes into
    python benchmarks/accelerator.py theirs                # fastai's AWD_LSTM on the same card; needs torch and fastai

A step is what `LanguageModelTask` does: all dropouts, AR and TAR, gradients of everything, Adam. Programs are compiled
side by side first; then each variant runs alone, 20 steps after 5, three times, and the median is printed. Several
processes that are started together measure one after the other, by a lock on the file in `--lock`. Needs neither text
nor TensorFlow Datasets.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import json
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

STEPS, WARM_UP, REPEATS = 20, 5, 3


@dataclass(frozen=True)
class Variant:
    """What is run: sizes by preset and vocabulary, rows, directions, and how."""

    name: str
    preset: str = "ulmfit"
    vocabulary: int = 8_192
    batch_size: int = 64
    both: bool = False
    precision: str = "bfloat16"
    unroll: int = 4
    backend: str = "scan"
    reset_state: bool = True

    @property
    def tokens(self) -> int:
        """Tokens of a step."""
        return self.batch_size * 72 * (2 if self.both else 1)


REFERENCE = Variant("reference 60,008 words", vocabulary=60_008, reset_state=False)
FULL = Variant("full both", both=True)
SMALL = Variant("small both", preset="small", both=True)
BIG_FULL = replace(FULL, name="full both, batch 128", batch_size=128)
BIG_SMALL = replace(SMALL, name="small both, batch 128", batch_size=128)
VARIANTS = [
    BIG_FULL,
    BIG_SMALL,
    *(
        replace(variant, name=f"{variant.name}, {name}", **changes)
        for variant in (BIG_FULL, BIG_SMALL)
        for name, changes in (
            ("unroll 1", {"unroll": 1}),
            ("unroll 8", {"unroll": 8}),
        )
    ),
    REFERENCE,
    replace(REFERENCE, name="reference 8,192 pieces", vocabulary=8_192),
    replace(REFERENCE, name="reference float32", precision="float32"),
    replace(REFERENCE, name="reference cudnn", backend="cudnn"),
    replace(REFERENCE, name="reference cudnn 8,192 pieces", vocabulary=8_192, backend="cudnn"),
    replace(FULL, name="full one direction", both=False),
]


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("side", choices=("ours", "theirs"))
    parser.add_argument("words", nargs="*", help="run the variants whose names contain one of these")
    parser.add_argument("--lock", type=Path, help="file to lock while measuring")
    parser.add_argument("--profile", action="store_true", help="say where the first variant's time goes")
    parser.add_argument("--note", default="", help="printed with each result")
    return parser.parse_args()


@contextlib.contextmanager
def alone(lock: Path | None) -> Iterator[None]:
    """While this lasts, no other process with the same lock measures."""
    if lock is None:
        yield
        return
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def measured(work: Callable[[int], None]) -> float:
    """Seconds a step: `work(n)` runs n steps and waits for them."""
    work(WARM_UP)
    times = []
    for _ in range(REPEATS):
        started = time.perf_counter()
        work(STEPS)
        times.append((time.perf_counter() - started) / STEPS)
    return statistics.median(times)


def say(name: str, tokens: int, seconds: float, note: str, **more: Any) -> None:
    """A result as a line of JSON."""
    row = {
        "variant": name,
        "ms_per_step": round(seconds * 1e3, 3),
        "tokens_per_second": round(tokens / seconds),
        **more,
    }
    print(json.dumps(row | ({"note": note} if note else {})), flush=True)


def ours(options: argparse.Namespace) -> None:
    """Compile all, then measure each."""
    import jax

    wanted = [v for v in VARIANTS if not options.words or any(word in v.name for word in options.words)]
    print(jax.devices(), jax.__version__, flush=True)
    prepared = [_prepared(variant) for variant in wanted]
    started = time.perf_counter()
    with ThreadPoolExecutor(len(wanted)) as pool:
        compiled = list(pool.map(lambda item: _compiled(*item), prepared))
    print(f"compiled {len(wanted)} programs in {time.perf_counter() - started:.1f} s", flush=True)
    with alone(options.lock):
        for variant, run in zip(wanted, compiled, strict=True):
            if isinstance(run, Exception):
                print(json.dumps({"variant": variant.name, "error": repr(run)[:300]}), flush=True)
                continue
            work, seconds = run
            say(variant.name, variant.tokens, measured(work), options.note, compile_seconds=round(seconds, 1))
        if options.profile:
            _profile(next(run for run in compiled if not isinstance(run, Exception))[0])


def _prepared(variant: Variant) -> tuple[Any, ...]:
    """The traced program of a variant and its arguments; what is chosen by global settings is chosen here."""
    import jax
    import jax.numpy as jnp

    from ulmfit_jax.data.corpus import Corpus
    from ulmfit_jax.data.stream import LanguageModelStream
    from ulmfit_jax.nn import recurrence_rows
    from ulmfit_jax.nn.architecture import preset
    from ulmfit_jax.nn.parameters import to_numpy
    from ulmfit_jax.training.both_directions import BothDirectionsTask, paired
    from ulmfit_jax.training.language_model import LanguageModelTask
    from ulmfit_jax.training.mapping import Devices
    from ulmfit_jax.training.stage_optimizer import StageOptimizer
    from ulmfit_jax.training.stages import Stage
    from ulmfit_jax.training.task import StepControls, TrainState

    class Recording(Devices):
        mapped: Any = None

        def map(self, *arguments: Any, **options: Any) -> Any:
            self.mapped = super().map(*arguments, **options)
            return self.mapped

    recurrence_rows.UNROLL = variant.unroll
    tokens = np.random.default_rng(0).integers(2, variant.vocabulary, variant.batch_size * 72 * 2 + 1).astype(np.int32)
    devices = Recording(1)
    tasks = [
        LanguageModelTask(
            preset(variant.preset, variant.vocabulary),
            LanguageModelStream(Corpus.from_arrays([tokens]), variant.batch_size, 72, backwards),
            None,
            devices,
            reset_state=variant.reset_state,
            dtype=jnp.dtype(variant.precision),
            backend=variant.backend,
        )
        for backwards in (False, True)
    ]
    task: Any = BothDirectionsTask(*tasks) if variant.both else tasks[0]
    parameters = to_numpy(task.definition.initialise(0)[0])
    parameters = paired(parameters, parameters) if variant.both else parameters
    optimizer = StageOptimizer(Stage("all", 1, 1e-3), parameters, task.groups)
    task.step(optimizer.transform, optimizer.trainable, devices)
    opened = optimizer.transform.init(parameters)
    state = TrainState(devices.replicate(parameters), {}, devices.replicate(opened), task.initial_carry())
    controls = StepControls(
        jnp.uint32(0), jnp.uint32(0), jnp.full((len(task.groups),), 1e-3, jnp.float32), jnp.float32(0.8)
    )
    batch = next(iter(task.train_batches(0, 0)))
    try:
        return devices.mapped.lower(state, *batch, controls), state, jax.device_put(batch), controls
    except Exception as error:
        return error, None, None, None


def _compiled(lowered: Any, state: Any, batch: Any, controls: Any) -> Any:
    """`(work, seconds of compiling)`, or the error that compiling or the first step ended with."""
    import jax

    if isinstance(lowered, Exception):
        return lowered
    started = time.perf_counter()
    try:
        step = lowered.compile()
        held = [step(state, *batch, controls)[0]]
    except Exception as error:
        return error
    seconds = time.perf_counter() - started

    def work(steps: int) -> None:
        state = held.pop()
        for _ in range(steps):
            state, result = step(state, *batch, controls)
        jax.block_until_ready(result)
        held.append(state)

    return work, seconds


def _profile(work: Callable[[int], None]) -> None:
    """The kernels that take most of the time of five steps."""
    import collections
    import tempfile

    import jax

    with tempfile.TemporaryDirectory() as folder:
        with jax.profiler.trace(folder):
            work(5)
        data = jax.profiler.ProfileData.from_file(str(next(Path(folder).rglob("*.xplane.pb"))))
    for plane in data.planes:
        if "GPU" not in plane.name and "TPU" not in plane.name:
            continue
        for line in plane.lines:
            total, count = collections.Counter(), collections.Counter()
            for event in line.events:
                total[event.name] += event.duration_ns
                count[event.name] += 1
            milliseconds, events = sum(total.values()) / 5e6, sum(count.values()) // 5
            print(f"{plane.name} {line.name}: {milliseconds:.3f} ms a step, {events} events")
            for name, nanoseconds in total.most_common(14):
                print(f"  {nanoseconds / 5e6:8.3f} ms  {count[name] // 5:6d} x  {name[:100]}")


def theirs(options: argparse.Namespace) -> None:
    """fastai's model, learner and callbacks, in float32 (TF32 products), and in mixed precision."""
    import torch
    from fastai.text import all as fastai

    torch.backends.cuda.matmul.allow_tf32 = True
    print(torch.cuda.get_device_name(), torch.__version__, flush=True)
    for vocabulary, mixed in [(60_008, False), (60_008, True), (8_192, False), (8_192, True)]:
        config = fastai.awd_lstm_lm_config | {"emb_sz": 400, "n_hid": 1152, "n_layers": 3}
        model = fastai.get_language_model(fastai.AWD_LSTM, vocabulary, config).cuda()
        tokens = torch.randint(9, vocabulary, (64, 72), device="cuda")
        loader = _Repeated((tokens, tokens))
        learner = fastai.TextLearner(
            fastai.DataLoaders(loader, []),
            model,
            loss_func=fastai.CrossEntropyLossFlat(),
            splitter=fastai.awd_lstm_lm_split,
            default_cbs=False,
            cbs=[fastai.TrainEvalCallback(), fastai.Recorder(add_time=False, train_metrics=False)],
        )
        if mixed:
            learner.to_fp16()

        def work(steps: int, learner: Any = learner, loader: _Repeated = loader) -> None:
            loader.steps = steps
            with learner.no_bar(), learner.no_logging():
                learner.fit(1, 1e-3, wd=0.1)
            torch.cuda.synchronize()

        with alone(options.lock):
            name = f"fastai {vocabulary:,}{', mixed precision' if mixed else ''}"
            say(name, 64 * 72, measured(work), options.note)
        del learner, model


class _Repeated:
    """A loader of the same batch, so many times."""

    def __init__(self, batch: tuple[Any, Any]) -> None:
        self.batch, self.steps = batch, 1

    def __len__(self) -> int:
        return self.steps

    def __iter__(self) -> Iterator[Any]:
        return iter([self.batch] * self.steps)


if __name__ == "__main__":
    chosen = arguments()
    {"ours": ours, "theirs": theirs}[chosen.side](chosen)
