"""TensorFlow data sets without TensorFlow: the real IMDb, and tiny builders with the features of well-known ones.

The tiny builders are made and prepared here; nothing is downloaded.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow_datasets as tfds

from ulmfit_jax.data.reading import iter_rows, iter_texts, read_dataset
from ulmfit_jax.data.tfds_source import TfdsLocation, prepared_folder
from ulmfit_jax.errors import DataError

Text, ClassLabel, Scalar = tfds.features.Text, tfds.features.ClassLabel, tfds.features.Scalar

# name, configuration: features, examples (as those of TFDS's catalogue, but for what is in them)
CATALOGUE: dict[tuple[str, str | None], tuple[dict[str, Any], list[dict[str, Any]]]] = {
    ("ag_news_subset", None): (
        {"description": Text(), "label": ClassLabel(names=["World", "Sports"]), "title": Text()},
        [{"description": "Long", "label": 1, "title": "Short"}, {"description": "Ü", "label": 0, "title": "T"}],
    ),
    ("trec", None): (
        {"label-coarse": ClassLabel(names=["DESC", "HUM"]), "label-fine": ClassLabel(num_classes=47), "text": Text()},
        [{"label-coarse": 1, "label-fine": 33, "text": "Who ?"}],
    ),
    ("yelp_polarity_reviews", None): (
        {"label": ClassLabel(names=["1", "2"]), "text": Text()},
        [{"label": 0, "text": "no"}, {"label": 1, "text": "yes"}],
    ),
    ("wiki40b", "en"): (
        {"text": Text(), "version_id": Text(), "wikidata_id": Text()},
        [{"text": f"Article {i}", "version_id": "1", "wikidata_id": "2"} for i in range(3000)],
    ),
    ("glue", "sst2"): (
        {"idx": Scalar(dtype=np.int32), "label": ClassLabel(names=["negative", "positive"]), "sentence": Text()},
        [{"idx": 0, "label": -1, "sentence": "unknown"}, {"idx": 1, "label": 1, "sentence": "good"}],
    ),
    ("glue", "cola"): (
        {"label": ClassLabel(names=["bad", "good"]), "sentence": Text()},
        [{"label": 1, "sentence": "Fine."}],
    ),
    ("stars", None): (
        {"class": Scalar(dtype=np.int64), "review": Text()},
        [{"class": 5, "review": "great"}, {"class": 1, "review": b"caf\xe9"}],
    ),
}


def make_builder(name: str, config: str | None, register: bool = False) -> type[Any]:
    features, examples = CATALOGUE[name, config]

    class Tiny(tfds.core.GeneratorBasedBuilder, skip_registration=not register):
        VERSION = tfds.core.Version("1.0.0")
        BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=config)] if config else []

        def _info(self):
            return tfds.core.DatasetInfo(builder=self, features=tfds.features.FeaturesDict(features))

        def _split_generators(self, manager):
            return {"train": self._generate_examples()}

        def _generate_examples(self):
            yield from enumerate(examples)

    Tiny.name = name
    return Tiny


@pytest.fixture(scope="module")
def prepared(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("tensorflow_datasets")
    for name, config in CATALOGUE:
        make_builder(name, config)(data_dir=root, file_format="array_record").download_and_prepare()
    return root


def contents(location: str, root: Path, **options: Any) -> tuple[list[str], list[str] | None]:
    """Texts and labels in the order of the texts; TFDS shuffles when it prepares."""
    dataset = read_dataset(location, data_dir=str(root), **options)
    if dataset.labels is None:
        return sorted(dataset.texts), None
    texts, labels = zip(*sorted(zip(dataset.texts, dataset.labels, strict=True)), strict=True)
    return list(texts), list(labels)


@pytest.mark.parametrize(
    ("location", "options", "texts", "labels"),
    [
        ("yelp_polarity_reviews:train", {}, ["no", "yes"], ["1", "2"]),
        ("yelp_polarity_reviews:1.0.0:train", {}, ["no", "yes"], ["1", "2"]),
        ("ag_news_subset:train", {"text_column": "description"}, ["Long", "Ü"], ["Sports", "World"]),
        (
            "ag_news_subset:train",
            {"text_column": ["title", "description"]},
            ["xxfld 1 Short xxfld 2 Long", "xxfld 1 T xxfld 2 Ü"],
            ["Sports", "World"],
        ),
        ("trec:train", {"label_column": "label-coarse"}, ["Who ?"], ["HUM"]),
        ("trec:train", {"label_column": "label-fine"}, ["Who ?"], ["33"]),
        ("glue/cola:train", {}, ["Fine."], ["good"]),
        ("glue/sst2:train", {"require_labels": False}, ["good", "unknown"], None),
        ("glue/sst2:train", {"label_column": "idx"}, ["good", "unknown"], ["1", "0"]),
    ],
)
def test_features_are_chosen_by_type_and_name(prepared, location, options, texts, labels):
    assert contents(f"tfds:{location}", prepared, **options) == (texts, labels)


def test_features_go_along(prepared):
    rows = list(iter_rows("tfds:glue/sst2:train", ["idx", "label"], data_dir=str(prepared)))
    assert sorted(rows, key=str) == [
        ("good", {"idx": 1, "label": "positive"}),
        ("unknown", {"idx": 0, "label": None}),  # -1 is no class
    ]
    with pytest.raises(
        DataError, match=r"has no column 'ix' \(did you mean 'idx'\?\) to go along; there are idx, label, sentence"
    ):
        iter_rows("tfds:glue/sst2:train", ["ix"], data_dir=str(prepared))


def test_the_folder_above_may_be_given(prepared, tmp_path):
    (tmp_path / "tensorflow_datasets").symlink_to(prepared)
    assert contents("tfds:trec:train", tmp_path, label_column="label-coarse") == (["Who ?"], ["HUM"])


def test_texts_are_streamed_whole(prepared):
    texts = list(iter_texts("tfds:wiki40b/en:train", data_dir=str(prepared)))
    assert sorted(texts) == sorted(f"Article {i}" for i in range(3000))
    assert list(iter_texts("tfds:wiki40b:train[:2]", data_dir=str(prepared))) == texts[:2]


@pytest.mark.parametrize(
    ("location", "options", "message"),
    [
        ("tfds:trec", {}, "not of the form"),
        ("tfds:trec/:train", {}, "not of the form"),
        ("tfds:trec:", {}, "not of the form"),
        ("tfds:nothing:train", {}, "nothing is not prepared in .*; allow the download"),
        ("tfds:trec:9.0.0:train", {}, "trec:9.0.0 is not prepared"),
        ("tfds:glue/mnli:train", {}, "glue/mnli is not prepared"),
        ("tfds:glue:train", {}, "holds the configurations cola, sst2; name one, as in tfds:glue/cola:train"),
        ("tfds:trec:test", {}, r"its splits are train \(1\)"),
        ("tfds:trec:train[a:b]", {}, r"its splits are train \(1\)"),
        ("tfds:trec:train[:9]", {}, r"its splits are train \(1\)"),
        ("tfds:trec:train", {}, "usual name for the label; .* there are label-coarse, label-fine, text"),
        ("tfds:ag_news_subset:train", {}, "usual name for the text; .* there are description, label, title"),
        ("tfds:ag_news_subset:train", {"text_column": "body"}, "no column 'body'"),
        ("tfds:ag_news_subset:train", {"text_column": "label"}, "named twice|not a string"),
        ("tfds:wiki40b/en:train", {}, "usual name for the label"),
        ("tfds:glue/sst2:train", {}, "example . has no label"),
        ("tfds:stars:train", {}, "usual name for the label"),
        ("tfds:stars:train", {"label_column": "class"}, "example . has the byte 0xe9 at position 3"),
    ],
)
def test_errors_are_one_sentence(prepared, location, options, message):
    with pytest.raises(DataError, match=message) as error:
        read_dataset(location, data_dir=str(prepared), **options)
    assert "\n" not in str(error.value)


def test_the_highest_complete_version_is_taken(tmp_path):
    for version in ("1.0.0", "1.9.0", "1.10.0", "2.0.0", "3.0.0.incompleteABC"):
        (tmp_path / "trec" / version).mkdir(parents=True)
    for version in ("1.0.0", "1.9.0", "1.10.0", "3.0.0.incompleteABC"):
        (tmp_path / "trec" / version / "dataset_info.json").touch()
    assert prepared_folder(TfdsLocation.parse("tfds:trec:train"), tmp_path).name == "1.10.0"
    assert prepared_folder(TfdsLocation.parse("tfds:trec:1.9.0:train"), tmp_path).name == "1.9.0"
    assert prepared_folder(TfdsLocation.parse("tfds:trec:2.0.0:train"), tmp_path) is None


@pytest.mark.parametrize(
    ("location", "parts"),
    [
        ("tfds:imdb_reviews:train", ("imdb_reviews", None, None, "train")),
        ("tfds:imdb_reviews/plain_text:train[:2500]", ("imdb_reviews", "plain_text", None, "train[:2500]")),
        ("tfds:wiki40b/zh-cn:1.3.0:train[5%:10%]+test", ("wiki40b", "zh-cn", "1.3.0", "train[5%:10%]+test")),
        ("tfds:wikipedia/20230601.en:train", ("wikipedia", "20230601.en", None, "train")),
    ],
)
def test_locations(location, parts):
    assert TfdsLocation.parse(location) == TfdsLocation(*parts)


def test_a_format_that_needs_tensorflow_is_said(prepared, tmp_path):
    shutil.copytree(prepared / "trec", tmp_path / "trec")
    info = tmp_path / "trec" / "1.0.0" / "dataset_info.json"
    info.write_text(info.read_text().replace("array_record", "tfrecord"))
    with pytest.raises(DataError, match="as tfrecord, which only TensorFlow reads"):
        read_dataset("tfds:trec:train", data_dir=str(tmp_path), label_column="label-fine")


@pytest.mark.parametrize("damage", [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-200])])
def test_missing_or_cut_off_files_are_said(prepared, tmp_path, damage):
    shutil.copytree(prepared / "trec", tmp_path / "trec")
    [records] = (tmp_path / "trec" / "1.0.0").glob("*array_record*")
    damage(records)
    with pytest.raises(DataError, match=r"tfds:trec:train cannot be read"):
        read_dataset("tfds:trec:train", data_dir=str(tmp_path), label_column="label-fine")


@pytest.fixture
def registered(monkeypatch):
    """A function that makes TFDS know a tiny builder under a new name for the length of a test."""

    def register(name: str, generate: Any) -> None:
        CATALOGUE[name, None] = CATALOGUE["yelp_polarity_reviews", None]
        builder = make_builder(name, None)
        builder._generate_examples = generate
        monkeypatch.setitem(tfds.core.registered._DATASET_REGISTRY, name, builder)

    known = dict(CATALOGUE)
    yield register
    CATALOGUE.clear()
    CATALOGUE.update(known)


def test_a_data_set_is_prepared_where_that_is_allowed(registered, tmp_path, capsys):
    registered("tiny_reviews", lambda self: iter([(0, {"label": 0, "text": "no"}), (1, {"label": 1, "text": "yes"})]))
    with pytest.raises(DataError, match="not prepared"):
        read_dataset("tfds:tiny_reviews:train", data_dir=str(tmp_path))
    assert contents("tfds:tiny_reviews:train", tmp_path, download=True) == (["no", "yes"], ["1", "2"])
    assert contents("tfds:tiny_reviews:train", tmp_path) == (["no", "yes"], ["1", "2"])
    printed = capsys.readouterr()
    assert (printed.out, "prepared" in printed.err) == ("", True)  # standard output is for results


def needs_tensorflow(self):
    raise ModuleNotFoundError("No module named 'tensorflow'", name="tensorflow")
    yield


def needs_beam(self):
    raise ModuleNotFoundError("No module named 'apache_beam'", name="apache_beam")
    yield


def fails(self):
    raise OSError("no route to host\nand more")
    yield


@pytest.mark.parametrize(
    ("generate", "message"),
    [
        (needs_tensorflow, r"needs the package tensorflow.*pip install '\.\[prepare\]'"),
        (needs_beam, "pip install apache-beam"),
        (fails, r"could not be downloaded and prepared in .* \(no route to host\)"),
    ],
)
def test_why_a_data_set_cannot_be_prepared(registered, tmp_path, generate, message):
    registered("stubborn_reviews", generate)
    with pytest.raises(DataError, match=message) as error:
        read_dataset("tfds:stubborn_reviews:train", data_dir=str(tmp_path), download=True)
    assert "\n" not in str(error.value)
    assert prepared_folder(TfdsLocation.parse("tfds:stubborn_reviews:train"), tmp_path) is None


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("tfds:no_such_reviews:train", "TFDS has no data set no_such_reviews"),
        ("tfds:yelp_polarity_reviews/nothing:train", "TFDS cannot make yelp_polarity_reviews/nothing"),
        ("tfds:yelp_polarity_reviews:9.9.9:train", "TFDS cannot make yelp_polarity_reviews:9.9.9"),
    ],
)
def test_what_tfds_does_not_know_is_said(tmp_path, location, message):
    with pytest.raises(DataError, match=message) as error:
        read_dataset(location, data_dir=str(tmp_path), download=True)
    assert "\n" not in str(error.value)


def test_imdb(data_dir, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)  # to import it is an error from here on
    root = data_dir / "tensorflow_datasets"
    train = read_dataset("tfds:imdb_reviews:train", data_dir=str(root))
    assert sorted(map(train.labels.count, ("neg", "pos"))) == [12500, 12500]
    assert train.texts[0].startswith("This was an absolutely terrible movie.")
    part = read_dataset("tfds:imdb_reviews/plain_text:train[100:103]", data_dir=str(root))
    assert (part.texts, part.labels) == (train.texts[100:103], train.labels[100:103])
    unlabelled = read_dataset("tfds:imdb_reviews:unsupervised[:3]", data_dir=str(root), require_labels=False)
    assert unlabelled.labels is None
    with pytest.raises(DataError, match="example 1 has no label"):
        read_dataset("tfds:imdb_reviews:unsupervised", data_dir=str(root))
