"""Pickles read as data: a file may name a few functions, which stand-ins here replace, and everything else is refused.

An ordinary unpickler imports and calls whatever the file names, so that a file can run any program; and a few bytes can
make it take all memory (a memo of 2**32 places) or all time (a key that is a tuple of tuples of tuples). Here a file
calls nothing but the stand-ins of a table that the caller gives, sets no attribute, and takes memory and time in
proportion to its length.
"""

from __future__ import annotations

import pickle
import pickletools
from collections.abc import Callable, Mapping
from typing import IO, Any, Final, cast

from ulmfit_jax.interop.pickle_reading import Bounded, is_key, literal
from ulmfit_jax.interop.refusal import ForbiddenName

Admitted = Mapping[tuple[str, str], Any]
"""What stands in for each (module, name) that a pickle may mention."""

_CONSTANTS: Final[dict[str, Callable[[], Any]]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_LIST": list,
    "EMPTY_TUPLE": tuple,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
}
_TUPLES: Final = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_FREE_COPIES: Final = 1000


class Ignored:
    """Stands in for objects that may occur but are of no interest, such as an optimiser's numbers."""

    def __init__(self, *arguments: Any) -> None:
        """Take whatever the pickle passes, and keep nothing."""

    def __setstate__(self, state: Any) -> None:
        """Take whatever the pickle passes, and keep nothing."""


class RestrictedUnpickler:
    """Unpickles lists, dictionaries, tuples, sets, strings and numbers, and what `admitted` stands in for.

    A stand-in is called with the arguments in the pickle; one that wants the state of its object has a method
    `__setstate__`. Keys of dictionaries and members of sets are strings, bytes, numbers or None.

    Args:
        file: open for reading bytes; it is left behind the pickle's end.
        admitted: the stand-ins.
        persistent: makes an object of a persistent id, which is how torch's files name their storages.
    """

    def __init__(self, file: IO[bytes], admitted: Admitted, persistent: Callable[[Any], Any] | None = None) -> None:
        self._file, self._admitted, self._persistent = file, admitted, persistent
        self._stack: list[Any] = []
        self._below: list[list[Any]] = []  # the stacks under the marks
        self._memo: dict[int, Any] = {}
        self._read = self._copied = 0

    def load(self) -> Any:
        """The object that the next pickle of the file holds.

        Raises:
            ForbiddenName: it names something that is not admitted.
            Exception: nearly any, where the file is damaged or made up.
        """
        for instruction, argument, _ in pickletools.genops(cast(IO[bytes], Bounded(self._file))):
            name = instruction.name
            self._read += 1
            if name == "STOP":
                return self._stack.pop()
            if name in _CONSTANTS:
                self._stack.append(_CONSTANTS[name]())
            elif name in _TUPLES:
                self._stack[-_TUPLES[name] :] = [tuple(self._taken(_TUPLES[name]))]
            elif name in _HANDLERS:
                _HANDLERS[name](self, argument)
            else:
                self._stack.append(literal(name, argument))
        raise EOFError("it ends too early")

    def _taken(self, count: int) -> list[Any]:
        if len(self._stack) < count:
            raise pickle.UnpicklingError("too little on the stack")
        return self._stack[-count:]

    def _mark(self, _: Any) -> None:
        self._below.append(self._stack)
        self._stack = []

    def _since_mark(self) -> list[Any]:
        items, self._stack = self._stack, self._below.pop()
        return items

    def _pop(self, _: Any) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self._since_mark()

    def _pop_mark(self, _: Any) -> None:
        self._since_mark()

    def _double(self, _: Any) -> None:
        self._stack.append(self._stack[-1])

    def _list(self, _: Any) -> None:
        items = self._since_mark()
        self._stack.append(items)

    def _tuple(self, _: Any) -> None:
        items = self._since_mark()
        self._stack.append(tuple(items))

    def _dict(self, _: Any) -> None:
        items = self._since_mark()
        self._stack.append({})
        self._fill(items)

    def _frozenset(self, _: Any) -> None:
        members = self._since_mark()
        self._stack.append(frozenset(_keys(members)))

    def _append(self, _: Any) -> None:
        self._extend([self._stack.pop()])

    def _appends(self, _: Any) -> None:
        self._extend(self._since_mark())

    def _extend(self, items: list[Any]) -> None:
        if not isinstance(self._stack[-1], list):
            raise pickle.UnpicklingError("a list that is none")
        self._stack[-1].extend(items)

    def _set_item(self, _: Any) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        self._fill([key, value])

    def _set_items(self, _: Any) -> None:
        self._fill(self._since_mark())

    def _fill(self, items: list[Any]) -> None:
        if not isinstance(self._stack[-1], dict):
            raise pickle.UnpicklingError("a dictionary that is none")
        self._stack[-1].update(zip(_keys(items[::2]), items[1::2], strict=True))

    def _add_items(self, _: Any) -> None:
        members = self._since_mark()
        if not isinstance(self._stack[-1], set):
            raise pickle.UnpicklingError("a set that is none")
        self._stack[-1].update(_keys(members))

    def _get(self, place: int) -> None:
        self._stack.append(self._memo[place])

    def _put(self, place: int) -> None:
        self._memo[place] = self._stack[-1]

    def _memoize(self, _: Any) -> None:
        self._memo[len(self._memo)] = self._stack[-1]

    def _global(self, dotted: str) -> None:
        module, _, name = dotted.partition(" ")
        self._stack.append(self._found(module, name))

    def _stack_global(self, _: Any) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._stack.append(self._found(module, name))

    def _found(self, module: Any, name: Any) -> Any:
        """The stand-in for what the pickle names; nothing is ever imported."""
        if not isinstance(module, str) or not isinstance(name, str):
            raise pickle.UnpicklingError("a name that is none")
        if (module, name) not in self._admitted:
            raise ForbiddenName(" ".join(f"{module}.{name}".split())[:100])
        return self._admitted[module, name]

    def _call(self, _: Any) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        if not callable(function) or not isinstance(arguments, tuple):
            raise pickle.UnpicklingError("a call of nothing")
        # A stand-in may copy what it is given: not more than the pickle has instructions, or a list could double again
        # and again.
        self._copied += sum(len(argument) for argument in arguments if isinstance(argument, (list, tuple, dict, set)))
        if self._copied > self._read + _FREE_COPIES:
            raise pickle.UnpicklingError("calls that copy too much")
        self._stack.append(function(*arguments))

    def _build(self, _: Any) -> None:
        state, instance = self._stack.pop(), self._stack[-1]
        if hasattr(type(instance), "__setstate__"):
            instance.__setstate__(state)

    def _persistent_name(self, name: str) -> None:
        self._stack.append(name)
        self._persistent_object(None)

    def _persistent_object(self, _: Any) -> None:
        if self._persistent is None:
            raise pickle.UnpicklingError("a persistent id")
        self._stack.append(self._persistent(self._stack.pop()))


def _keys(values: list[Any]) -> list[Any]:
    if not all(map(is_key, values)):
        raise pickle.UnpicklingError("a key that is no text or number")
    return values


_HANDLERS: Final[dict[str, Callable[[RestrictedUnpickler, Any], None]]] = {
    **dict.fromkeys(("PROTO", "FRAME"), lambda unpickler, argument: None),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), RestrictedUnpickler._get),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), RestrictedUnpickler._put),
    **dict.fromkeys(("REDUCE", "NEWOBJ"), RestrictedUnpickler._call),
    "MEMOIZE": RestrictedUnpickler._memoize,
    "MARK": RestrictedUnpickler._mark,
    "POP": RestrictedUnpickler._pop,
    "POP_MARK": RestrictedUnpickler._pop_mark,
    "DUP": RestrictedUnpickler._double,
    "LIST": RestrictedUnpickler._list,
    "TUPLE": RestrictedUnpickler._tuple,
    "DICT": RestrictedUnpickler._dict,
    "FROZENSET": RestrictedUnpickler._frozenset,
    "APPEND": RestrictedUnpickler._append,
    "APPENDS": RestrictedUnpickler._appends,
    "SETITEM": RestrictedUnpickler._set_item,
    "SETITEMS": RestrictedUnpickler._set_items,
    "ADDITEMS": RestrictedUnpickler._add_items,
    "GLOBAL": RestrictedUnpickler._global,
    "STACK_GLOBAL": RestrictedUnpickler._stack_global,
    "BUILD": RestrictedUnpickler._build,
    "PERSID": RestrictedUnpickler._persistent_name,
    "BINPERSID": RestrictedUnpickler._persistent_object,
}
"""What each instruction does; INST, OBJ, NEWOBJ_EX, extensions and buffers out of band do nothing here but end it."""
