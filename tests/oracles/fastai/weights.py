"""Copies parameters between this package's nested dictionaries and fastai's modules, both ways.

Both keep the gates in the order i, f, g, o and two biases a layer; torch's kernels are `[out, in]`, ours `[in, out]`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ulmfit_jax.nn.parameters import Tree, flatten, unflatten

if TYPE_CHECKING:
    import torch


def load(model: torch.nn.Module, parameters: Tree, statistics: Tree | None = None) -> None:
    """Copy our arrays into fastai's language model or classifier, each into its place and each place once."""
    arrays = flatten(parameters) | flatten(statistics or {})
    places = _places(model, statistics=statistics is not None)
    assert arrays.keys() == places.keys()
    for path, tensor in places.items():
        tensor.data.copy_(tensor.new_tensor(_transposed(path, np.asarray(arrays[path]))))


def parameters_of(model: torch.nn.Module) -> Tree:
    """The parameters of fastai's model as our nested dictionary."""
    return unflatten({path: _array(path, tensor) for path, tensor in _places(model, statistics=False).items()})


def statistics_of(model: torch.nn.Module) -> Tree:
    """The running statistics of its batch normalisation."""
    parameters, everything = _places(model, statistics=False), _places(model, statistics=True)
    return unflatten({path: _array(path, everything[path]) for path in everything.keys() - parameters.keys()})


def gradients_of(model: torch.nn.Module) -> Tree:
    """The gradients that the last backward pass left, without those of parameters that have none."""
    places = _places(model, statistics=False).items()
    return unflatten({path: _array(path, tensor.grad) for path, tensor in places if tensor.grad is not None})


def _array(path: str, tensor: torch.Tensor) -> np.ndarray:
    return _transposed(path, tensor.detach().numpy()).copy()


def _transposed(path: str, array: np.ndarray) -> np.ndarray:
    return array.T if path.endswith("kernel") else array


def _places(model: torch.nn.Module, statistics: bool) -> dict[str, torch.Tensor]:
    """Each tensor of fastai's model by our path of it; every parameter of the model is among them."""
    encoder, top = model[0], model[1]
    encoder = getattr(encoder, "module", encoder)
    places = {"encoder/embedding": encoder.encoder.weight}
    for index, rnn in enumerate(encoder.rnns):
        places |= {
            f"encoder/lstm_{index}/input_kernel": rnn.module.weight_ih_l0,
            f"encoder/lstm_{index}/recurrent_kernel": rnn.weight_hh_l0_raw,
            f"encoder/lstm_{index}/input_bias": rnn.module.bias_ih_l0,
            f"encoder/lstm_{index}/recurrent_bias": rnn.module.bias_hh_l0,
        }
    places |= {"decoder/bias": top.decoder.bias} if hasattr(top, "decoder") else _head(top)
    assert {id(tensor) for tensor in places.values()} == {id(tensor) for tensor in model.parameters()}
    return places | (_running(top) if statistics else {})


def _head(head: torch.nn.Module) -> dict[str, torch.Tensor]:
    places = {}
    for index, layer in enumerate(head.layers):
        norm, linear = (module for module in layer if hasattr(module, "weight"))
        places |= {f"head/norm_{index}/scale": norm.weight, f"head/norm_{index}/bias": norm.bias}
        places[f"head/dense_{index}/kernel"] = linear.weight
    return places


def _running(head: torch.nn.Module) -> dict[str, torch.Tensor]:
    places = {}
    for index, layer in enumerate(head.layers):
        places |= {
            f"head/norm_{index}/mean": layer[0].running_mean,
            f"head/norm_{index}/variance": layer[0].running_var,
        }
    return places
