"""Images as people have them: folders, lists, arrays; every mode of picture; what is refused by name."""

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from aiq_core.errors import DataError, SettingError
from aiq_core.runtime.own import blocks, data, pictures
from aiq_core.runtime.own.data import Given, deal, dealt, find, title_of, with_classes
from aiq_core.runtime.own.pictures import Pictures
from aiq_core.runtime.own.preprocessing import Preprocessing, flat, parse, read_preprocessing, with_flags

MODES = ("RGB", "RGBA", "L", "LA", "P", "I;16", "CMYK", "1")


def picture(mode: str, size: tuple[int, int] = (9, 7)) -> Image.Image:
    if mode == "I;16":
        return Image.fromarray(np.full(size[::-1], 40_000, dtype=np.uint16))
    return Image.new(mode, size)


def folder_of_modes(root: Path) -> Path:
    for name in ("cat", "dog", "empty"):
        (root / name).mkdir(parents=True)
    for mode in MODES:
        picture(mode).save(root / "cat" / f"{mode.replace(';', '')}.{'tif' if mode == 'CMYK' else 'png'}")
    whole = io.BytesIO()
    Image.new("RGB", (64, 64)).save(whole, "JPEG")
    (root / "dog" / "cut.jpg").write_bytes(whole.getvalue()[:300])
    (root / "dog" / ".DS_Store").write_bytes(b"x")
    (root / "dog" / "zero.png").touch()
    return root


def test_every_mode_is_read_and_broken_files_are_refused_by_name(tmp_path: Path) -> None:
    found = find(str(folder_of_modes(tmp_path / "d")))
    # 8 that can be read and 2 that cannot; the hidden one is none of them.
    assert len(found) == 10
    assert found.class_names == ("cat", "dog", "empty")
    given = with_classes(Given(found), 3, None)
    assert "no images of 1 of 3 classes: empty" in given.data.said
    with pytest.raises(DataError, match="2 of 10 images cannot be read; mend") as refused:
        blocks.write(given, Preprocessing(), 3, tmp_path / "data", "modes")
    assert "cut.jpg" in str(refused.value)
    assert "zero.png" in str(refused.value)
    assert ".DS_Store" not in str(refused.value)


@pytest.mark.parametrize(("channels", "shape"), [(3, (7, 9, 3)), (1, (7, 9, 1))])
@pytest.mark.parametrize("mode", MODES)
def test_modes_become_grey_or_rgb(mode: str, channels: int, shape: tuple[int, ...]) -> None:
    assert Preprocessing().image(picture(mode), channels).shape == shape


@pytest.mark.parametrize(("mode", "channels"), list(zip(MODES, (3, 3, 1, 1, 3, 1, 3, 1), strict=True)))
def test_channels_are_those_of_the_first_picture_that_can_be_read(tmp_path: Path, mode: str, channels: int) -> None:
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "0.png").touch()
    picture(mode).save(tmp_path / "cat" / "1.tif")
    assert pictures.channels_of(find(str(tmp_path))) == channels


def test_what_is_transparent_lies_on_the_background() -> None:
    clear = Image.new("RGBA", (1, 1), (255, 0, 0, 0))
    assert np.asarray(flat(clear, 3)).tolist() == [[[255, 255, 255]]]
    assert np.asarray(flat(clear, 3, background=0)).tolist() == [[[0, 0, 0]]]
    half = Image.new("LA", (1, 1), (0, 51))  # 51 / 255 = a fifth black, the rest of white: 255 · 4 / 5
    assert np.asarray(flat(half, 1)).tolist() == [[204]]


def test_sixteen_bits_become_eight() -> None:
    # 40,000 / 257 = 155.6
    assert set(np.asarray(flat(picture("I;16"), 1)).ravel().tolist()) == {156}


def test_a_picture_is_resized_by_the_stated_rule() -> None:
    # The shorter side, 7, becomes 14, so 9 becomes 18; then the middle.
    image = Preprocessing(resize=(14,)).image(picture("RGB"), 3)
    assert image.shape == (14, 18, 3)
    assert Preprocessing(resize=(14,), crop=(12,)).image(picture("RGB"), 3).shape == (12, 12, 3)
    assert Preprocessing(resize=(5, 6)).image(picture("RGB"), 3).shape == (5, 6, 3)


def test_sizes_that_differ_are_asked_about(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for place, size in enumerate(((9, 7), (9, 7), (8, 8), (9, 7))):
        Image.new("RGB", size).save(tmp_path / "a" / f"{place}.png")
    with pytest.raises(DataError, match=r"several sizes, 7 x 9 \(.*8 x 8 \(.*2.png\); give --resize and --crop"):
        blocks.write(Given(find(str(tmp_path))), Preprocessing(), 3, tmp_path / "data", "sizes")


def test_a_picture_below_the_crop_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="it is 7 x 9 pixels, too few for --crop 8,8: give --resize"):
        Preprocessing(crop=(8,)).image(picture("RGB"), 3)
    assert Preprocessing(crop=(7, 9)).image(picture("RGB"), 3).shape == (7, 9, 3)


def test_unusual_folders(tmp_path: Path) -> None:
    """A link to a picture, one that leads nowhere, a folder in a class folder, and a labels.csv beside them."""
    for name in ("ä b/more", "cat"):
        (tmp_path / "d" / name).mkdir(parents=True)
    Image.new("L", (4, 4)).save(tmp_path / "d" / "ä b" / "more" / "a.png")
    Image.new("L", (4, 4)).save(tmp_path / "linked.png")
    (tmp_path / "d" / "cat" / "link.png").symlink_to(tmp_path / "linked.png")
    found = find(str(tmp_path / "d"))
    assert (found.labels.tolist(), found.class_names) == ([0, 1], ("cat", "ä b"))
    for other in ("notes.txt", "paper.pdf"):  # Pillow writes PDFs, and reads none
        (tmp_path / "d" / "cat" / other).write_bytes(b"x")
    assert len(find(str(tmp_path / "d"))) == 2
    (tmp_path / "d" / "cat" / "nowhere.png").symlink_to(tmp_path / "none.png")
    with pytest.raises(DataError, match="No such file"):
        find(str(tmp_path / "d")).read(1)
    (tmp_path / "d" / "labels.csv").write_text("cat/link.png,7\n")
    assert find(str(tmp_path / "d")).labels.tolist() == [7]


def test_folders_of_splits_are_no_classes(tmp_path: Path) -> None:
    for name in ("train", "val"):
        (tmp_path / name / "cat").mkdir(parents=True)
    with pytest.raises(DataError, match="holds train, val, which are no classes; give .*val, and training images by"):
        find(str(tmp_path))


def test_images_that_choose_and_judge_are_counted(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (10, 4, 4, 1), dtype=np.uint8)

    def of(*places: int) -> Pictures:
        values = images[list(places)]
        return Pictures(np.zeros(len(places), int), None, lambda i: values[i], str, (), values)

    def said(data: Pictures, report: Pictures | None, folder: str) -> list[str]:
        return blocks.write(Given(data, report, of(0)), Preprocessing(), 1, tmp_path / folder, "twice")

    assert said(of(1, 2, 3), of(3, 4), "a") == [
        "1 of 2 report images are search images too: what was chosen for them judges itself"
    ]
    assert said(of(1, 2, 3), of(4, 5), "b") == []
    for place, sets in enumerate([(of(1, 2, 3), of(3, 1)), (of(1, 2), of(1, 2, 3))]):
        with pytest.raises(DataError, match="2 of . images that judge are among the . that choose; give others by"):
            said(*sets, f"c{place}")


def test_flat_folders_are_refused_with_the_way_out(tmp_path: Path) -> None:
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"put each class in a folder of its own, or give a labels.csv"):
        find(str(tmp_path))
    (tmp_path / "labels.csv").write_text("file,label\na.png,3\n")
    found = find(str(tmp_path))
    assert (found.labels.tolist(), found.class_names) == ([3], None)


def test_folders_that_are_numbers_are_in_their_order(tmp_path: Path) -> None:
    for number in range(12):
        (tmp_path / str(number)).mkdir()
        Image.new("L", (2, 2), number).save(tmp_path / str(number) / "a.png")
    found = find(str(tmp_path))
    assert found.class_names == tuple(map(str, range(12)))
    colours = [np.asarray(found.read(place)).flat[0] for place in range(12)]
    assert found.labels.tolist() == colours == list(range(12))
    # As text, folder 2 would stand fifth: after 0, 1, 10 and 11.
    (tmp_path / "names.txt").write_text("\n".join(sorted(map(str, range(12)))))
    moved = data.ordered(found, data.read_classes(tmp_path / "names.txt"))
    assert sum(moved.labels == [np.asarray(moved.read(place)).flat[0] for place in range(12)]) == 2


def test_a_list_of_paths_and_labels(tmp_path: Path) -> None:
    for name in "ab":
        Image.new("RGB", (4, 4)).save(tmp_path / f"{name}.png")
    listed = tmp_path / "list.csv"
    listed.write_text("path,label\na.png,dog\nb.png,cat\n")
    found = find(str(listed))
    assert (found.labels.tolist(), found.class_names) == ([1, 0], ("cat", "dog"))
    listed.write_text("a.png,dog\nc.png,cat\n")
    with pytest.raises(DataError, match=r"names 1 files that are not there: .*c.png; write paths relative to it"):
        find(str(listed))
    listed.write_text("c.png,dog\na.png,cat\n")  # no heading: it names a picture
    with pytest.raises(DataError, match="names 1 files"):
        find(str(listed))
    listed.write_text("a.png\n")
    with pytest.raises(DataError, match="line 1 has one column"):
        find(str(listed))
    listed.write_text("a.png,dog\nb.png,cat\n", encoding="utf-8-sig")
    assert len(find(str(listed))) == 2
    for label in ("-1", "2.0"):
        listed.write_text(f"a.png,{label}\nb.png,1\n")
        with pytest.raises(
            DataError, match=f"list.csv has labels such as {label}; write whole numbers from 0, or names"
        ):
            find(str(listed))


def arrays(tmp_path: Path, shape: tuple[int, ...], dtype: Any = np.uint8, labels: Any = None, **more: Any) -> str:
    path = tmp_path / "arrays.npz"
    labels = np.arange(shape[0]) if labels is None else labels
    np.savez(path, images=np.zeros(shape, dtype), labels=labels, **more)
    return str(path)


def test_arrays_channels_first_or_last(tmp_path: Path) -> None:
    for shape in ((5, 3, 8, 6), (5, 8, 6, 3)):
        found = find(arrays(tmp_path, shape))
        assert found.values is not None
        assert found.values.shape == (5, 8, 6, 3)
    grey = find(arrays(tmp_path, (5, 8, 6)))
    assert grey.values is not None
    assert grey.values.shape == (5, 8, 6, 1)
    with pytest.raises(DataError, match=r"\[5, 3, 6, 3\] may be NHWC or NCHW; say which by --layout"):
        find(arrays(tmp_path, (5, 3, 6, 3)))
    asked = find(arrays(tmp_path, (5, 3, 6, 3)), layout="NCHW")
    assert asked.values is not None
    assert asked.values.shape == (5, 6, 3, 3)
    with pytest.raises(SettingError, match="layout='HWCN' is not offered; choose from NHWC, NCHW"):
        find(arrays(tmp_path, (5, 3, 6, 3)), layout="HWCN")


@pytest.mark.parametrize(
    ("shape", "more", "said"),
    [
        ((5, 8, 6, 2), {}, "neither 1 nor 3 channels"),
        ((5, 8), {}, "give one array of images and one of labels"),
        ((5, 8, 8), {"labels": np.arange(4)}, "5 images and 4 labels"),
        ((5, 8, 8), {"labels": np.zeros(5)}, "give one array of images and one of labels, whole numbers"),
        ((0, 8, 8), {}, r"images are \[0, 8, 8\], which is none"),
        ((5, 8, 8), {"class_names": np.array(["a", "b"])}, "labels up to 4, and 2 class_names; name every class"),
        ((5, 8, 8), {"dtype": object}, "cannot be read .it holds Python objects, or is no array of numpy's"),
        ((5, 8, 8), {"dtype": np.int32}, "images are int32; give uint8, uint16, or floats"),
        ((5, 8, 8), {"others": np.zeros((5, 8, 8))}, "give one array of images and one of labels"),
    ],
)
def test_arrays_that_are_refused(tmp_path: Path, shape: tuple[int, ...], more: dict[str, Any], said: str) -> None:
    with pytest.raises(DataError, match=said):
        find(arrays(tmp_path, shape, **more))


def test_two_files_of_arrays_are_mapped(tmp_path: Path) -> None:
    np.save(tmp_path / "x.npy", np.zeros((4, 8, 8, 3), np.uint8))
    np.save(tmp_path / "y.npy", np.array([0, 1, 0, 1]))
    found = find(f"{tmp_path / 'x.npy'},{tmp_path / 'y.npy'}")
    assert isinstance(found.values, np.memmap)
    assert found.labels.tolist() == [0, 1, 0, 1]


@pytest.mark.parametrize("shape", [(4, 5, 6, 3), (4, 3, 5, 6), (4, 5, 6)])
def test_a_mapped_image_is_the_one_at_its_place(tmp_path: Path, shape: tuple[int, ...]) -> None:
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    np.save(tmp_path / "x.npy", images)
    np.save(tmp_path / "y.npy", np.arange(4))
    found = find(f"{tmp_path / 'x.npy'},{tmp_path / 'y.npy'}")
    assert found.values is not None
    for place in range(4):
        assert np.array_equal(found.read(place), found.values[place])


def test_large_arrays_of_a_packed_file_are_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pictures, "HELD_BYTES", 1000)
    found = find(arrays(tmp_path, (5, 8, 8, 3)))  # 960 bytes and a header
    assert isinstance(found.values, np.memmap)
    assert found.labels.tolist() == list(range(5))


def test_what_is_no_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="neither there nor a data set of torchvision's; give a folder"):
        find("nothing")
    (tmp_path / "a.txt").touch()
    with pytest.raises(DataError, match="is no set of images"):
        find(str(tmp_path / "a.txt"))


def test_floats_hold_values_of_the_range() -> None:
    def kept(values: list[float], **how: Any) -> list[int]:
        image = np.array(values, np.float32).reshape(1, -1, 1)
        return blocks._bytes(image, Preprocessing(**how)).ravel().tolist()

    assert kept([0, 0.5, 1]) == [0, 128, 255]  # 127.5 to the even number
    assert kept([-1, 0, 1], range=(-1, 1)) == [0, 128, 255]
    with pytest.raises(DataError, match=r"from -2.1 to 2.6, outside the range 0 to 1: give --range"):
        kept([-2.1, 2.6])
    with pytest.raises(DataError, match="1 of its numbers are NaN"):
        kept([0, float("nan")])


def numbered(labels: list[int]) -> Pictures:
    values = np.zeros((len(labels), 4, 4, 1), np.uint8)
    return Pictures(np.array(labels), None, lambda i: values[i], str, (), values)


def test_one_set_is_dealt_by_class_into_disjoint_parts() -> None:
    labels = np.repeat(np.arange(5), 20)
    parts, said = dealt(Given(numbered(labels.tolist())))
    # 100 images: a tenth calibrates, 45 search and 45 judge; 2, 9 and 9 of each class of 20.
    assert {name: len(part) for name, (_, part) in parts.items()} == {"calibration": 10, "search": 45, "report": 45}
    for name, each in (("calibration", 2), ("search", 9), ("report", 9)):
        assert np.bincount(labels[parts[name][1]]).tolist() == [each] * 5
        # Every prefix is as balanced: each class once, then again.
        assert labels[parts[name][1]][:5].tolist() == [0, 1, 2, 3, 4]
    whole = np.concatenate([part for _, part in parts.values()])
    assert sorted(whole.tolist()) == list(range(100))
    assert "100 images dealt class by class, in an order drawn with seed 0" in said[0]
    again, _ = dealt(Given(numbered(labels.tolist())))
    assert all(np.array_equal(parts[name][1], again[name][1]) for name in parts)


def test_classes_of_one_image_are_shared_out() -> None:
    parts = deal(np.arange(10), {"search": 1.0, "report": 1.0})
    assert [len(part) for part in parts.values()] == [5, 5]


def test_too_few_images(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no images are left for report of 2"):
        dealt(Given(numbered([0, 1])))


def test_labels_that_begin_at_one() -> None:
    with pytest.raises(
        DataError, match=r"labels run from 1 to 12, the network has 12 outputs, 0 to 11; they begin at 1"
    ):
        with_classes(Given(numbered(list(range(1, 13)))), 12, None)
    with pytest.raises(DataError, match="labels run from 0 to 12, the network has 12 outputs"):
        with_classes(Given(numbered(list(range(13)))), 12, None)


def test_names_in_another_order() -> None:
    named = replace(numbered([0, 1, 2, 1]), class_names=("ant", "bee", "cat"))
    moved = data.ordered(named, ["cat", "dog", "bee", "ant"])
    assert (moved.labels.tolist(), moved.class_names) == ([3, 2, 0, 2], ("cat", "dog", "bee", "ant"))
    assert data.ordered(numbered([1, 0]), ["cat", "dog"]).class_names == ("cat", "dog")
    assert data.ordered(named, None) is named
    with pytest.raises(DataError, match="classes that --classes lacks: bee; name every class"):
        data.ordered(named, ["cat", "ant"])


def test_names_of_classes(tmp_path: Path) -> None:
    path = tmp_path / "classes.json"
    path.write_text('{"cat": 1, "dog": 0}')
    assert data.read_classes(path) == ["dog", "cat"]
    path.write_text('["dog", "cat"]')
    assert data.read_classes(path) == ["dog", "cat"]
    path.write_text('{"cat": 1, "dog": 2}')
    with pytest.raises(DataError, match="places other than 0 to 1"):
        data.read_classes(path)
    named = with_classes(Given(numbered([0, 1, 2])), 3, ("a", "b", "c"))
    assert named.data.class_names == ("a", "b", "c")
    assert with_classes(Given(numbered([0, 1])), 3, None).data.class_names == ("0", "1", "2")


def test_preprocessing_from_a_file_and_flags(tmp_path: Path) -> None:
    path = tmp_path / "how.toml"
    path.write_text("resize = 40\ncrop = 32\nmean = [0.5, 0.5, 0.5]\nstd = [0.25, 0.25, 0.25]\nrange = [-1, 1]\n")
    how = with_flags(read_preprocessing(path), {"crop": [24], "mean": None})
    assert (how.resize, how.crop) == ((40,), (24,))
    # ((-1 + 2 p) - 0.5) / 0.25 = (p - 0.75) / 0.125
    assert how.of_pixels(3) == ((0.75,) * 3, (0.125,) * 3)
    with pytest.raises(SettingError, match="images have 1 channels; give one a channel"):
        how.of_pixels(1)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({"means": [1]}, "preprocessing has no 'means'; choose from resize, crop"),
        ({"mean": [0.5]}, "mean and std go together"),
        ({"mean": [0.5], "std": [0]}, "it divides, so give numbers above 0"),
        ({"range": [1, 1]}, "is empty"),
        ({"range": [0, 1, 2]}, "give two numbers"),
        ({"resize": [0]}, "give one number, or height and width"),
        ({"interpolation": "best"}, "choose from nearest, bilinear, bicubic, lanczos"),
        ({"mean": "half", "std": [1]}, "mean='half' cannot be read; give numbers"),
        ({"mean": [float("nan")], "std": [1]}, r"mean=\[nan\] is not finite"),
        ({"std": [float("inf")], "mean": [1]}, r"std=\[inf\] is not finite"),
        ({"resize": 8.5}, "resize=8.5 cannot be read; give whole numbers"),
        ({"crop": [float("inf")]}, r"crop=\[inf\] cannot be read; give whole numbers"),
        ({"resize": [1_000_000]}, r"resize=\[1000000\] is not offered; .* of 1 to 4,096"),
        ({"background": 3.5}, "background=3.5 cannot be read; give whole numbers"),
        ({"background": 300}, "choose 0 to 255"),
    ],
)
def test_preprocessing_that_is_refused(document: dict[str, Any], said: str) -> None:
    with pytest.raises(SettingError, match=said):
        parse(document)


def test_images_are_called_by_what_they_are_not_by_what_they_are_for(tmp_path: Path) -> None:
    (tmp_path / "birds" / "val").mkdir(parents=True)
    for name in ("birds/test.npz", "birds/unseen.npz", "birds/val/owls"):
        (tmp_path / name).touch()
    given = ("birds", "birds/val", "birds/test.npz", "birds/unseen.npz", "birds/val/owls,labels.npy")
    called = [title_of(f"{tmp_path}/{name}") for name in given]
    assert called == ["birds", "birds/val", "birds/test.npz", "unseen.npz", "owls"]
    assert [title_of(name) for name in ("CIFAR10:test", "torchvision:MNIST")] == ["CIFAR10 test", "MNIST"]
