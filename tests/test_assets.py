"""What ships: hashes, splits, excerpts and refusals."""

import pickle
from pathlib import Path

import numpy as np
import pytest

from aiq_core import assets
from aiq_core.errors import DataError, UnknownNameError, WeightsError
from aiq_core.records import ImageSet, SplitName

SHIPPED = [("cifar10", split, 2000) for split in SplitName] + [("digits", split, 500) for split in SplitName]


@pytest.fixture
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("AIQ_CACHE_DIR", str(tmp_path))
    return tmp_path


def test_the_papers_models_come_first() -> None:
    assert assets.model_names() == ("resnet20", "mobilenet_v2", "heavy_early_resnet20", "plain_convnet20", "digits_cnn")


def test_figures_of_the_bundled_weights() -> None:
    resnet, mobilenet = assets.card("resnet20"), assets.card("mobilenet_v2")
    assert (resnet.search_top1_percent, resnet.report_top1_percent) == pytest.approx((92.90, 92.25))
    assert (mobilenet.search_top1_percent, mobilenet.report_top1_percent) == pytest.approx((88.14, 87.37))
    assert resnet.recipe["kept"] == "averaged"


@pytest.mark.parametrize("name", assets.model_names())
def test_weights_match_their_card(name: str) -> None:
    tensors = assets.weights(name)
    parameters = {key for key in tensors if "running" not in key}
    profile = assets.profile(name)
    counted = sum(layer.weights + layer.biases for layer in profile.layers)
    in_layers = sum(
        tensors[key].size for layer in profile.layers for key in (f"{layer.name}.weight", f"{layer.name}.bias")
        if key in parameters
    )  # fmt: skip
    assert in_layers == counted


def test_model_hash_covers_name_preprocessing_and_tensors() -> None:
    tensors = {"a": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.zeros(2, np.float32)}
    same = {"b": tensors["b"], "a": tensors["a"]}
    base = assets.model_hash("m", (0.5,), (0.2,), tensors)
    assert assets.model_hash("m", (0.5,), (0.2,), same) == base
    others = [
        assets.model_hash("n", (0.5,), (0.2,), tensors),
        assets.model_hash("m", (0.4,), (0.2,), tensors),
        assets.model_hash("m", (0.5,), (0.3,), tensors),
        assets.model_hash("m", (0.5,), (0.2,), tensors | {"a": tensors["a"].reshape(3, 2)}),
        assets.model_hash("m", (0.5,), (0.2,), tensors | {"a": tensors["a"].astype(np.float64)}),
        assets.model_hash("m", (0.5,), (0.2,), tensors | {"b": np.ones(2, np.float32)}),
    ]
    assert len({base, *others}) == 7
    assert len(base) == 16


@pytest.mark.parametrize("content", [pickle.dumps({"a": 1}), b"", b"\x08", b"PK\x03\x04" + bytes(60)])
def test_what_is_not_safetensors_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "weights.safetensors"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"weights\.safetensors is not a safetensors file.*save_file"):
        assets.read_weights(path)


def test_truncated_weights_are_refused(tmp_path: Path) -> None:
    whole = (assets.ASSETS / "models" / "digits_cnn" / "weights.safetensors").read_bytes()
    path = tmp_path / "weights.safetensors"
    path.write_bytes(whole[:-100])
    with pytest.raises(WeightsError, match="not a safetensors file"):
        assets.read_weights(path)


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="absent.safetensors cannot be read"):
        assets.read_weights(tmp_path / "absent.safetensors")


def test_altered_weights_do_not_match_the_card(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = assets.ASSETS / "models" / "digits_cnn"
    folder = tmp_path / "models" / "digits_cnn"
    folder.mkdir(parents=True)
    (folder / "card.json").write_bytes((source / "card.json").read_bytes())
    content = bytearray((source / "weights.safetensors").read_bytes())
    content[-1] ^= 1
    (folder / "weights.safetensors").write_bytes(content)
    monkeypatch.setattr(assets, "_model_folder", lambda name: folder)
    with pytest.raises(WeightsError, match=f"its card says {assets.card('digits_cnn').model_hash}"):
        assets.weights.__wrapped__("digits_cnn")


@pytest.mark.parametrize(("dataset", "split", "count"), SHIPPED)
def test_excerpts_are_whole_and_balanced(dataset: str, split: SplitName, count: int) -> None:
    pixels, labels = assets.excerpt(dataset, split), assets.labels(dataset, split)
    assert pixels.shape[0] == count == assets.excerpt_size(dataset)
    assert labels.shape == (assets.split_size(dataset, split),)
    # Round-robin over classes: every prefix of a multiple of 10 is balanced.
    assert np.array_equal(labels, np.tile(np.arange(10), len(labels) // 10))
    assert not pixels.flags.writeable
    assert len(assets.block_hashes(dataset, split)) == assets.split_size(dataset, split) // 500


def test_split_sizes() -> None:
    assert [assets.split_size("cifar10", split) for split in SplitName] == [5000, 10_000]
    assert [assets.split_size("digits", split) for split in SplitName] == [500, 500]
    assert assets.class_names("cifar10")[3] == "cat"


def test_hashes_identify_splits() -> None:
    hashes = {assets.split_hash(dataset, split) for dataset, split, _ in SHIPPED}
    assert len(hashes) == 4
    assert len({assets.calibration_hash("cifar10"), assets.calibration_hash("digits")} | hashes) == 6


@pytest.mark.parametrize("dataset", assets.dataset_names())
def test_calibration_lies_outside_both_splits(dataset: str) -> None:
    calibration = {image.tobytes() for image in assets.calibration(dataset)}
    assert len(assets.calibration(dataset)) == 512
    for split in SplitName:
        assert not calibration & {image.tobytes() for image in assets.excerpt(dataset, split)}


def test_unknown_names_list_what_there_is() -> None:
    with pytest.raises(UnknownNameError, match="unknown model 'x'; choose from resnet20"):
        assets.card("x")
    with pytest.raises(UnknownNameError, match="unknown dataset 'imagenet'; choose from cifar10, digits"):
        assets.class_names("imagenet")
    with pytest.raises(UnknownNameError, match="unknown split 'validation'"):
        assets.labels("digits", "validation")


def test_images_need_no_cache_where_they_ship(empty_cache: Path) -> None:
    assert assets.images("digits", ImageSet(SplitName.REPORT, 500)).shape == (500, 8, 8, 1)
    assert assets.images("cifar10", ImageSet(SplitName.SEARCH, 2000)).shape == (2000, 32, 32, 3)
    assert assets.has_all_images("digits")
    assert not assets.has_all_images("cifar10")


def test_images_beyond_the_excerpt_name_the_remedy(empty_cache: Path) -> None:
    with pytest.raises(DataError, match="5000 images of search .* 2000 ship .*python -m aiq_core data"):
        assets.images("cifar10", ImageSet(SplitName.SEARCH, 5000))
    with pytest.raises(DataError, match="510 images of search .* has 500"):
        assets.images("digits", ImageSet(SplitName.SEARCH, 510))


def test_a_damaged_cache_is_refused(empty_cache: Path) -> None:
    path = assets.cached_file("cifar10", SplitName.SEARCH)
    path.parent.mkdir(parents=True)
    path.write_bytes(b"\x93NUMPY")
    with pytest.raises(DataError, match=r"search\.npy cannot be read"):
        assets.images("cifar10", ImageSet(SplitName.SEARCH, 5000))
    np.save(path, np.zeros((5000, 32, 32, 3), np.uint8))
    with pytest.raises(DataError, match=r"search\.npy does not hold the search images"):
        assets.images("cifar10", ImageSet(SplitName.SEARCH, 5000))


@pytest.mark.skipif(not assets.has_all_images("cifar10"), reason="CIFAR-10 is not in the cache")
@pytest.mark.parametrize("split", SplitName)
def test_excerpt_equals_the_fetched_images(split: SplitName) -> None:
    whole = assets.images("cifar10", ImageSet(split, assets.split_size("cifar10", split)))
    assert np.array_equal(whole[:2000], assets.excerpt("cifar10", split))
