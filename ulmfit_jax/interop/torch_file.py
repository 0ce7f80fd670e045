"""The arrays of a file that `torch.save` wrote, without torch and without executing anything that the file says.

Two formats are read: the zip archive of torch 1.6 and later (`data.pkl`, and a file of raw numbers for each storage),
and the older sequence of pickles with the storages behind them, in which fastai 0.7 and 1 were published.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
from numpy.typing import NDArray

from ulmfit_jax.errors import ArtifactError
from ulmfit_jax.interop.refusal import refuse
from ulmfit_jax.interop.restricted_pickle import Ignored, RestrictedUnpickler

_MAGIC: Final = 0x1950A86A20F9469CFC6C
_BFLOAT16: Final = "bfloat16"
_TYPES: Final = {
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "DoubleStorage": "<f8",
    "BFloat16Storage": _BFLOAT16,
    "LongStorage": "<i8",
    "IntStorage": "<i4",
    "ShortStorage": "<i2",
    "CharStorage": "<i1",
    "ByteStorage": "<u1",
    "BoolStorage": "<?",
}
_AXES: Final = 8
_WEIGHTS: Final = "weights that torch.save wrote, such as fastai's learn.save or learn.save_encoder"


@dataclass(frozen=True)
class Storage:
    """A run of numbers in the file: its key, its type, and the part of it that is meant."""

    key: str
    dtype: str
    start: int
    size: int


@dataclass(frozen=True)
class Tensor:
    """A tensor whose numbers have not been read yet: where in a storage they are."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclass(frozen=True)
class TorchFile:
    """What a file holds: `content` with a `Tensor` wherever torch saved one; `array` reads its numbers."""

    path: Path
    content: Any
    raw: Callable[[str], bytes]

    def array(self, tensor: Tensor) -> NDArray[Any]:
        """The numbers of a tensor, in float32 if it is of floats.

        Raises:
            ArtifactError: it reaches out of its storage, or the storage is missing or cut off.
        """
        storage = tensor.storage
        count = math.prod(tensor.shape)
        last = sum((length - 1) * stride for length, stride in zip(tensor.shape, tensor.strides, strict=True))
        if count > storage.size or (count and tensor.offset + last >= storage.size):
            raise ArtifactError(f"{self.path} is damaged: a tensor is larger than its storage; copy the file again")
        try:
            numbers = _numbers(self.raw(storage.key), storage.dtype)[storage.start : storage.start + storage.size]
        except Exception as error:
            refuse(error, self.path, _WEIGHTS)
        if len(numbers) < storage.size:
            raise ArtifactError(f"{self.path} is cut off: a storage is too short; copy the file again")
        strides = [stride * numbers.itemsize for stride in tensor.strides]
        view = np.lib.stride_tricks.as_strided(numbers[tensor.offset :], tensor.shape, strides, writeable=False)
        return np.array(view, np.float32 if numbers.dtype.kind == "f" else numbers.dtype)


def read_torch_file(path: Path) -> TorchFile:
    """What is in a file of either format.

    Raises:
        ArtifactError: it is missing, damaged, something else, or wants to call what is not admitted.
    """
    try:
        with path.open("rb") as file:
            start = file.read(2)
            file.seek(0)
            if start == b"\x1f\x8b":
                raise ArtifactError(f"{path} is a packed archive: unpack it (tar xzf) and give the .pth file inside")
            return _read_zip(path) if start == b"PK" else _read_legacy(path, file)
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read ({error.strerror or error}): give {_WEIGHTS}") from error
    except Exception as error:  # a damaged or made-up pickle can raise nearly anything
        refuse(error, path, _WEIGHTS)


def _read_zip(path: Path) -> TorchFile:
    with zipfile.ZipFile(path) as archive:
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
            raise ValueError("compressed entries, which torch does not write")
        name = next((name for name in archive.namelist() if name.endswith("/data.pkl")), None)
        if name is None:
            raise ValueError("an archive without data.pkl")
        folder = name.removesuffix("data.pkl")
        if f"{folder}byteorder" in archive.namelist() and archive.read(f"{folder}byteorder") != b"little":
            raise ValueError("numbers of a big-endian machine")
        content = _unpickle(io.BytesIO(archive.read(name)))  # read whole, so that its checksum is compared
    allowance = _Allowance(path)

    def raw(key: str) -> bytes:
        with zipfile.ZipFile(path) as archive:
            entry = archive.getinfo(f"{folder}data/{key}")
            allowance.take(entry.file_size)
            return archive.read(entry)

    return TorchFile(path, content, raw)


def _read_legacy(path: Path, file: IO[bytes]) -> TorchFile:
    if _unpickle(file) != _MAGIC:
        raise ValueError("no beginning of torch.save")
    _unpickle(file)  # the version of the protocol
    if not _unpickle(file)["little_endian"]:
        raise ValueError("numbers of a big-endian machine")
    types: dict[str, str] = {}
    content = _unpickle(file, types)
    places: dict[str, tuple[int, int]] = {}
    allowance = _Allowance(path)
    for key in map(_key, _unpickle(file)):
        (size,) = struct.unpack("<Q", file.read(8))
        places[key] = (file.tell(), size * _item_size(types[key]))
        file.seek(places[key][1], 1)

    def raw(key: str) -> bytes:
        allowance.take(places[key][1])
        with path.open("rb") as numbers:
            numbers.seek(places[key][0])
            return numbers.read(places[key][1])

    return TorchFile(path, content, raw)


def _unpickle(file: IO[bytes], types: dict[str, str] | None = None) -> Any:
    """The next pickle of a file; `types` receives the type of each storage that it names."""

    def persistent(key: Any) -> Any:
        kind, dtype, name, _, size, *view = key
        if kind != "storage" or dtype not in _TYPES.values():
            raise pickle.UnpicklingError("a persistent object that is no storage")
        if types is not None:
            types[_key(name)] = dtype
        _, start, size = view[0] if view and view[0] is not None else (None, 0, size)
        if not all(isinstance(number, int) and number >= 0 for number in (start, size)):
            raise pickle.UnpicklingError("a storage that is none")
        return Storage(_key(name), dtype, start, size)

    return RestrictedUnpickler(file, _admitted(), persistent).load()


def _admitted() -> dict[tuple[str, str], Any]:
    """Made anew for each file, so that none can leave a trace in a stand-in."""
    ignored = type("Ignored", (Ignored,), {})
    names: dict[tuple[str, str], Any] = {
        ("torch._utils", "_rebuild_tensor"): lambda *arguments: _tensor(*arguments),
        ("torch._utils", "_rebuild_tensor_v2"): lambda *arguments: _tensor(*arguments),
        ("torch._utils", "_rebuild_parameter"): lambda tensor, *_: tensor,
        ("collections", "OrderedDict"): type("OrderedDict", (dict,), {}),
        ("collections", "defaultdict"): lambda *_: {},
        ("fastcore.foundation", "L"): ignored,
        ("torch", "device"): ignored,
        ("torch", "Size"): tuple,
        ("_codecs", "encode"): ignored,
        ("numpy", "dtype"): ignored,
    }
    names |= {(f"numpy.{core}.multiarray", "scalar"): ignored for core in ("core", "_core")}
    return names | {(module, name): kind for module in ("torch", "torch.cuda") for name, kind in _TYPES.items()}


def _key(name: Any) -> str:
    """The key of a storage."""
    if not isinstance(name, (str, int)):
        raise pickle.UnpicklingError("a storage without a name")
    return str(name)


class _Allowance:
    """How many bytes of storages may be read from a file: several times its size, as tensors may share a storage, but
    not for thousands of tensors that are one storage."""

    def __init__(self, path: Path) -> None:
        """The allowance of a file."""
        self._left = 8 * path.stat().st_size

    def take(self, size: int) -> None:
        """Use some of it up.

        Raises:
            ValueError: that much is not left.
        """
        self._left -= size
        if self._left < 0:
            raise ValueError("its tensors would be far larger than the file")


def _tensor(storage: Any, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: Any) -> Tensor:
    numbers = (offset, *shape, *strides)
    whole = all(isinstance(number, int) and 0 <= number < 1 << 48 for number in numbers)
    if not isinstance(storage, Storage) or len(shape) != len(strides) or len(shape) > _AXES or not whole:
        raise pickle.UnpicklingError("a tensor that is none")
    return Tensor(storage, offset, tuple(shape), tuple(strides))


def _item_size(dtype: str) -> int:
    return 2 if dtype == _BFLOAT16 else np.dtype(dtype).itemsize


def _numbers(content: bytes, dtype: str) -> NDArray[Any]:
    if dtype == _BFLOAT16:  # the upper half of a float32
        return (np.frombuffer(content, "<u2").astype(np.uint32) << 16).view(np.float32)
    return np.frombuffer(content, dtype)
