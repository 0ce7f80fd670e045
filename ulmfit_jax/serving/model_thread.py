"""The model behind one thread: requests are answered one after the other, whatever number come at once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from ulmfit_jax.serving.limits import Refusal

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")


class ModelThread:
    """Runs functions in one thread, in the order they come; the event loop stays free meanwhile."""

    def __init__(self, waiting: int):
        """Let at most `waiting` calls wait for the one under way."""
        self._executor = ThreadPoolExecutor(1, "ulmfit-model")
        self._most, self._present = waiting + 1, 0

    async def run(
        self, function: Callable[Arguments, Result], *arguments: Arguments.args, **named: Arguments.kwargs
    ) -> Result:
        """What the function returns or raises.

        Raises:
            Refusal: too many calls are waiting.
        """
        if self._present >= self._most:
            raise Refusal(503, "busy", f"{self._present - 1} requests are waiting for the model: try again in a while")
        self._present += 1
        try:
            return await asyncio.wrap_future(self._executor.submit(function, *arguments, **named))
        finally:
            self._present -= 1

    def close(self) -> None:
        """Answer nobody who is still waiting."""
        self._executor.shutdown(wait=False, cancel_futures=True)
