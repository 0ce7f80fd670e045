"""`ulmfit` that gets a signal in the middle of a stage.

    python signal_driver.py SIGNAL STAGE STEP COMMAND...

The process sends itself the signal of that name (`SIGTERM`, `SIGINT`, `SIGKILL`) when step number STEP of the stage
STAGE is accounted. In everything else it is the command line.
"""

from __future__ import annotations

import os
import signal
import sys

from ulmfit_jax.cli.main import main
from ulmfit_jax.progress import ConsoleProgress


def send(number: signal.Signals, stage: str, step: int) -> None:
    """Have the signal sent there."""
    told = ConsoleProgress.step_done

    def step_done(self: ConsoleProgress, done_steps: int, loss: float) -> None:
        told(self, done_steps, loss)
        if (self._stage, done_steps) == (stage, step):
            os.kill(os.getpid(), number)

    ConsoleProgress.step_done = step_done  # type: ignore[method-assign]


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a test run in the background inherits that it is ignored
    name, stage, step, *command = sys.argv[1:]
    send(signal.Signals[name], stage, int(step))
    code = main(command)
    sys.stderr.flush()
    os._exit(code)  # as the command line ends
