"""Layer groups, their rates and their freezing against fastai's language-model and classifier learners."""

from __future__ import annotations

import pytest

from oracles.fastai.names import our_path
from oracles.fastai.reference import fastai, torch
from ulmfit_jax.errors import ConfigError
from ulmfit_jax.nn.architecture import Architecture
from ulmfit_jax.nn.classifier import Head
from ulmfit_jax.nn.parameters import flatten
from ulmfit_jax.optim.groups import LayerGroup, discriminative_rates, freeze_to, group_labels, layer_groups
from ulmfit_jax.training.classifier import classifier_definition
from ulmfit_jax.training.language_model import language_model_definition

KINDS = [("language_model", 3), ("classifier", 3), ("language_model", 1), ("classifier", 4)]


def fastai_learner(kind: str, n_layers: int) -> fastai.TextLearner:
    """A learner as fastai makes it, of a tiny network and without pretrained weights."""
    loaders = fastai.DataLoaders([], [])
    loaders.vocab = [f"word{i}" for i in range(16)]
    sizes = {"emb_sz": 4, "n_hid": 6, "n_layers": n_layers}
    if kind == "language_model":
        config = fastai.awd_lstm_lm_config | sizes
        learn = fastai.language_model_learner(loaders, fastai.AWD_LSTM, config=config, pretrained=False)
    else:
        config = fastai.awd_lstm_clas_config | sizes
        loss = fastai.CrossEntropyLossFlat()
        learn = fastai.text_classifier_learner(
            loaders, fastai.AWD_LSTM, config=config, pretrained=False, n_out=3, loss_func=loss
        )
    learn.create_opt()
    return learn


def our_groups(kind: str, n_layers: int) -> tuple[tuple[LayerGroup, ...], dict[str, str]]:
    """The layer groups, and the name of its group for each parameter of our network."""
    sizes = Architecture(vocabulary_size=16, embedding_size=4, hidden_size=6, n_layers=n_layers)
    definition = (
        language_model_definition(sizes)
        if kind == "language_model"
        else classifier_definition(sizes, Head(n_classes=3))
    )
    groups = layer_groups(n_layers, kind)
    return groups, flatten(group_labels(definition.initialise(0)[0], groups))


def named(learn: fastai.TextLearner) -> dict[str, torch.Tensor]:
    """fastai's parameters by our names."""
    parameters = {our_path(name): tensor for name, tensor in learn.model.named_parameters()}
    assert len(parameters) == len(list(learn.model.parameters()))
    return parameters


@pytest.mark.parametrize(("kind", "n_layers"), KINDS)
def test_each_parameter_is_in_fastais_group(kind: str, n_layers: int) -> None:
    learn, (groups, labels) = fastai_learner(kind, n_layers), our_groups(kind, n_layers)
    paths = {id(tensor): path for path, tensor in named(learn).items()}
    theirs = [{paths[id(tensor)] for tensor in group} for group in learn.opt.param_lists]
    assert theirs == [{path for path, label in labels.items() if label == group.name} for group in groups]
    assert set(paths.values()) == labels.keys()


@pytest.mark.parametrize(("kind", "n_layers"), KINDS)
@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        (3e-3, 3e-3),
        (slice(1e-5, 1e-3), (1e-5, 1e-3)),
        (slice(1e-2 / 2.6**4, 1e-2), (1e-2 / 2.6**4, 1e-2)),
        (slice(1e-2, 1e-4), (1e-2, 1e-4)),
        (slice(2e-3), (None, 2e-3)),
    ],
    ids=str,
)
def test_rates(kind: str, n_layers: int, theirs: float | slice, ours: float | tuple[float | None, float]) -> None:
    learn = fastai_learner(kind, n_layers)
    learn.opt.set_hyper("lr", theirs)
    rates = discriminative_rates(ours, len(layer_groups(n_layers, kind)))
    assert rates == pytest.approx([group["lr"] for group in learn.opt.hypers], rel=1e-12)


def test_rates_of_a_single_group() -> None:
    optimizer = fastai.Adam([torch.nn.Parameter(torch.ones(1))], lr=1.0)
    for theirs, ours in [(3e-3, 3e-3), (slice(2e-3), (None, 2e-3)), (slice(1e-5, 1e-3), (1e-5, 1e-3))]:
        optimizer.set_hyper("lr", theirs)
        assert list(discriminative_rates(ours, 1)) == [group["lr"] for group in optimizer.hypers]


@pytest.mark.parametrize(("kind", "n_layers"), KINDS)
def test_each_parameter_trains_where_fastais_does(kind: str, n_layers: int) -> None:
    learn, (groups, labels) = fastai_learner(kind, n_layers), our_groups(kind, n_layers)
    for n in range(-len(groups), len(groups)):
        learn.freeze_to(n)
        trainable = freeze_to(groups, n)
        theirs = {path: tensor.requires_grad for path, tensor in named(learn).items()}
        assert theirs == {path: label in trainable for path, label in labels.items()}


def test_freezing_everything_is_refused() -> None:
    """fastai warns only, and goes on to train the batch normalisation of the head."""
    learn, (groups, _) = fastai_learner("classifier", 3), our_groups("classifier", 3)
    with pytest.warns(UserWarning, match="whole model is frozen"):
        learn.freeze_to(5)
    trained = {path for path, tensor in named(learn).items() if tensor.requires_grad}
    assert trained == {f"head/norm_{i}/{name}" for i in range(2) for name in ("scale", "bias")}
    with pytest.raises(ConfigError, match="cannot freeze up to layer group 5"):
        freeze_to(groups, 5)
