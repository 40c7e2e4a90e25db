"""Folding, rounding and predictions that depend on the policy alone: not on order, chunk, threads, cache or hints."""

import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor, nn

from aiq_core.errors import EvaluationError
from aiq_core.records import Granularity, ImageSet, Move, Policy, Quantizer, SplitName, is_done, unfinished
from aiq_core.rounding.nearest import quantize
from aiq_core.runtime.data import to_input
from aiq_core.runtime.evaluate import TorchEvaluator
from aiq_core.runtime.models import MODELS, ModelSpec, spec
from aiq_core.runtime.prefixes import Key, PrefixCache
from aiq_core.runtime.profile import profile
from aiq_core.runtime.weights import network_with
from tests import bundled
from tests.folded import fold_batch_norm

Predictions = NDArray[np.uint8]


def unfolded(model: ModelSpec) -> nn.Module:
    return network_with(model, bundled.model(model.name).weights, "assets")


def folded(model: ModelSpec) -> nn.Module:
    return fold_batch_norm(unfolded(model), bundled.profile(model.name))


def evaluator(
    model: str = "digits_cnn",
    images: int = 500,
    threads: int = 1,
    cache_bytes: int | None = None,
    chunk: int = 250,
    granularity: Granularity = Granularity.CHANNEL,
) -> TorchEvaluator:
    rounding = Quantizer(granularity=granularity)
    return TorchEvaluator(
        bundled.model(model), ImageSet(SplitName.SEARCH, images), rounding, threads, cache_bytes, chunk
    )


def blank(model: str = "digits_cnn") -> Predictions:
    size = bundled.model(model).dataset.split(SplitName.SEARCH).size
    return unfinished(size, np.dtype(np.uint8))


def predict(by: TorchEvaluator, policy: Policy, base: Policy | None = None) -> Predictions:
    predicted = blank(by.model.name)
    for _ in by.chunks(policy, base, predicted):
        pass
    return predicted


def digits(*bits: int) -> Policy:
    return Policy(bits, (32,) * len(bundled.profile("digits_cnn").activation_groups))


FP32 = digits(32, 32, 32, 32, 32)
# A search's questions: candidates that each depart from the policy held, at every boundary.
QUESTIONS = [
    (FP32, FP32),
    (digits(32, 32, 32, 32, 4), FP32),
    (digits(32, 32, 32, 2, 32), FP32),
    (digits(4, 32, 32, 32, 32), FP32),
    (digits(32, 32, 3, 2, 32), digits(32, 32, 32, 2, 32)),
    (digits(32, 32, 32, 2, 2), digits(32, 32, 32, 2, 32)),
    (digits(32, 2, 3, 2, 32), digits(32, 32, 3, 2, 32)),
    (digits(2, 2, 3, 2, 8), digits(2, 2, 3, 2, 32)),
]


# Folding.


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_a_folded_network_gives_the_same_logits(model: ModelSpec) -> None:
    inputs = torch.randn(4, *model.input_shape, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        before, after = unfolded(model)(inputs), folded(model)(inputs)
    # Logits reach 10 in float32, whose steps there are 1e-6.
    torch.testing.assert_close(after, before, rtol=1e-4, atol=5e-5)
    assert not torch.equal(after, before)


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
def test_no_batch_norm_is_left(model: ModelSpec) -> None:
    assert any(isinstance(module, nn.BatchNorm2d) for module in unfolded(model).modules())
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded(model).modules())


@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)
@pytest.mark.parametrize("bits", [8, 4])
def test_rounding_by_channel_commutes_with_folding(model: ModelSpec, bits: int) -> None:
    """Folding scales whole output channels, so the integers stay, but for the sign of a negative scale."""
    before, after = unfolded(model), folded(model)
    differing = total = 0
    for name in bundled.profile(model.name).quantizable_names:
        plain, scaled = (np.ascontiguousarray(n.get_parameter(f"{name}.weight").detach()) for n in (before, after))
        sign = np.sign((plain * scaled).sum(axis=tuple(range(1, plain.ndim)), keepdims=True))
        differing += np.count_nonzero(quantize(scaled, bits)[0] != quantize(plain, bits)[0] * sign)
        total += plain.size
    assert differing <= total * 1e-6  # a weight halfway between two levels may fall to either side


def test_a_convolution_with_another_reader_is_not_folded() -> None:
    class TwoReaders(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3)
            self.bn = nn.BatchNorm2d(2)

        def forward(self, x: Tensor) -> Tensor:
            y = self.conv(x)
            return self.bn(y) + y  # type: ignore[no-any-return]

    network = TwoReaders().eval()
    network.bn.running_mean.fill_(0.5)  # type: ignore[union-attr]
    inputs = torch.ones(1, 1, 4, 4)
    expected = network(inputs)
    assert torch.equal(fold_batch_norm(network, profile(network, "toy", (1, 4, 4), ()))(inputs), expected)
    assert isinstance(network.bn, nn.BatchNorm2d)


# Predictions.


def plainly(policy: Policy, granularity: Granularity) -> Predictions:
    """The definition: fold, round each layer, run all images at once in split order."""
    model, profile = spec("digits_cnn"), bundled.profile("digits_cnn")
    network = folded(model)
    for name, bits in profile.named_bits(policy).items():
        weight = network.get_parameter(f"{name}.weight").data
        if bits != 32:
            weight.copy_(torch.from_numpy(np.multiply(*quantize(weight.numpy().copy(), bits, granularity))))
    pixels = bundled.dataset("digits").images(ImageSet(SplitName.SEARCH, 500))
    with torch.inference_mode():
        predicted: Predictions = network(to_input(pixels, model.mean, model.std)).argmax(1).to(torch.uint8).numpy()
    return predicted


@pytest.fixture(scope="module")
def expected() -> list[Predictions]:
    return [plainly(policy, Granularity.CHANNEL) for policy, _ in QUESTIONS]


def test_the_questions_have_different_answers(expected: list[Predictions]) -> None:
    assert len({predicted.tobytes() for predicted in expected}) >= len(QUESTIONS) - 1


@pytest.mark.parametrize(
    ("chunk", "threads", "cache_bytes"),
    [(125, 1, 0), (125, 2, 0), (250, 1, 0), (250, 2, 0), (250, 1, 400_000), (125, 2, None), (250, 1, None)],
)
def test_predictions_depend_on_the_policy_alone(
    expected: list[Predictions], chunk: int, threads: int, cache_bytes: int | None
) -> None:
    by = evaluator(threads=threads, cache_bytes=cache_bytes, chunk=chunk)
    for lap in range(2):
        order = random.Random(lap).sample(range(len(QUESTIONS)), len(QUESTIONS))
        for index in order:
            policy, base = QUESTIONS[index]
            assert np.array_equal(predict(by, policy, base if lap else None), expected[index]), (lap, policy.key)


def test_per_tensor_rounding_is_the_definitions() -> None:
    by = evaluator(granularity=Granularity.TENSOR)
    for policy, base in QUESTIONS:
        assert np.array_equal(predict(by, policy, base), plainly(policy, Granularity.TENSOR))


def test_fp32_predictions_give_the_cards_accuracy() -> None:
    labels = bundled.dataset("digits").split(SplitName.SEARCH).labels
    right = np.count_nonzero(predict(evaluator(), FP32) == labels)
    assert 100 * right / len(labels) == pytest.approx(bundled.model("digits_cnn").card.search_top1_percent)


@pytest.mark.parametrize("images", [7, 130, 260])
def test_fewer_images_are_the_first_of_all(expected: list[Predictions], images: int) -> None:
    """Also where the last chunk is filled up, and what lies beyond stays undone."""
    policy, base = QUESTIONS[4]
    predicted = predict(evaluator(images=images), policy, base)
    assert np.array_equal(predicted[:images], expected[4][:images])
    assert not is_done(predicted[images:]).any()


def test_stopped_and_resumed_equals_whole(expected: list[Predictions]) -> None:
    policy, base = QUESTIONS[6]
    predicted = blank()
    next(iter(evaluator(chunk=125).chunks(policy, base, predicted)))
    assert np.count_nonzero(is_done(predicted)) == 125
    first = is_done(predicted)
    assert np.array_equal(predicted[first], expected[6][first])
    by = evaluator(chunk=125)
    before = by.layer_images
    rest = [np.count_nonzero(is_done(part)) for part in by.chunks(policy, None, predicted)]
    assert rest == [250, 375, 500]
    assert by.layer_images - before == 3 * 125 * 6  # chunks left x images x parts
    assert np.array_equal(predicted, expected[6])
    assert list(by.chunks(policy, base, predicted)) == []


def test_likely_mistakes_come_first() -> None:
    pixels, labels = (
        bundled.dataset("digits").images(ImageSet(SplitName.SEARCH, 500)),
        bundled.dataset("digits").split(SplitName.SEARCH).labels,
    )
    model = spec("digits_cnn")
    with torch.inference_mode():
        logits = unfolded(model)(to_input(pixels, model.mean, model.std)).numpy()
    rows = np.arange(500)
    true = logits[rows, labels].copy()
    logits[rows, labels] = -np.inf
    margins = true - logits.max(axis=1)
    predicted = blank()
    next(iter(evaluator(chunk=125).chunks(QUESTIONS[1][0], None, predicted)))
    done = is_done(predicted)
    assert margins[done].max() <= margins[~done].min() + 1e-4
    mistakes = predict(evaluator(), FP32) != labels
    assert 0 < np.count_nonzero(mistakes) < 125 and done[mistakes].all()


# Logits that are no numbers.


def test_a_network_that_overflows_is_refused() -> None:
    huge = dict(bundled.model("digits_cnn").weights)
    huge["linear.bias"] = np.full(10, np.finfo(np.float32).max, np.float32)
    huge["linear.weight"] = np.full((10, 24), 1e38, np.float32)
    overflowing = replace(bundled.model("digits_cnn"))
    overflowing.__dict__["weights"] = huge
    with pytest.raises(EvaluationError, match=r"w32x5 a32x6 gives NaN or infinite logits for \d+ of 260 images"):
        TorchEvaluator(overflowing, ImageSet(SplitName.SEARCH, 260))


def test_a_policy_without_numbers_is_refused_and_none_of_its_images_counted() -> None:
    by = evaluator(images=130, chunk=125)
    by._rounded[4, 4] = torch.full((10, 24), torch.nan), torch.zeros(10)
    predicted = blank()
    # The likeliest mistakes, 125, come first; the second chunk holds the 5 that are left.
    with pytest.raises(EvaluationError, match=r"w32x4\.4 a32x6 gives NaN or infinite logits for 125 of 125 images"):
        next(by.chunks(digits(32, 32, 32, 32, 4), None, predicted))
    assert not is_done(predicted).any()
    assert len(set(predict(by, FP32)[:130])) == 10  # what is finite goes on


# Work that is shared.


def test_candidates_of_one_step_run_their_prefix_once() -> None:
    by, images = evaluator(), 500
    spent = []
    for policy in (digits(32, 32, 32, 32, 4), digits(32, 32, 32, 32, 8), digits(32, 32, 32, 4, 32), FP32):
        before = by.layer_images
        predict(by, policy, FP32)
        spent.append((by.layer_images - before) // images)
    # The first runs all 6 parts, the second the classifier, the third block4, the pool and it; FP32 was run before.
    assert spent == [6, 1, 3, 0]


def cached(by: TorchEvaluator) -> dict[Key, Tensor]:
    return {key: tensor.clone() for key, tensor in by._cache._entries.items()}


def test_cached_activations_are_never_written_to() -> None:
    """ResNet-20 has in-place ReLUs and shortcuts that read a block's input again."""
    profile = bundled.profile("resnet20")
    fp32 = profile.uniform(32)
    by, plain = evaluator("resnet20", 250), evaluator("resnet20", 250, cache_bytes=0)
    end, inner = profile.weight_sites[19], profile.weight_sites[8]
    last, middle = profile.moved(fp32, Move(end, 4)), profile.moved(fp32, Move(inner, 2))
    predict(by, last, fp32)
    before = cached(by)
    assert {boundary for _, boundary, _ in before} == set(
        range(1, 12)
    )  # after the stem, each of nine blocks and the pool
    for policy in (middle, profile.moved(middle, Move(end, 4))):
        assert np.array_equal(predict(by, policy, fp32), predict(plain, policy))
    assert np.array_equal(predict(by, last, fp32), predict(plain, last))
    assert plain._cache.held_bytes == 0
    after = cached(by)
    assert before.keys() <= after.keys()
    assert all(torch.equal(after[key], tensor) for key, tensor in before.items())


def entry(elements: int) -> Tensor:
    return torch.zeros(elements, dtype=torch.uint8)


def key(chunk: int, prefix: int = 0) -> Key:
    return (chunk, 1, (prefix,))


@settings(deadline=None)
@given(
    limit=st.integers(0, 60),
    calls=st.lists(st.tuples(st.booleans(), st.integers(0, 6), st.integers(1, 30)), max_size=60),
)
def test_the_cache_stays_within_its_limit(limit: int, calls: Sequence[tuple[bool, int, int]]) -> None:
    cache, given_ = PrefixCache(limit), dict[Key, Tensor]()
    for is_put, number, size in calls:
        if is_put:
            if cache.get(key(number)) is None:
                given_[key(number)] = entry(size)
            cache.put(key(number), given_[key(number)])
        else:
            found = cache.get(key(number))
            assert found is None or found is given_[key(number)]
        assert cache.held_bytes == sum(tensor.nbytes for tensor in cache._entries.values()) <= limit


def scan(cache: PrefixCache, chunks: int, prefix: int = 0) -> int:
    """One lap over the chunks as a search makes it; how many were found."""
    found = 0
    for chunk in range(chunks):
        if cache.get(key(chunk, prefix)) is not None:
            found += 1
        else:
            cache.put(key(chunk, prefix), entry(10))
    return found


def test_a_lap_longer_than_the_cache_keeps_what_fits() -> None:
    cache = PrefixCache(4 * 10)
    # Least-recently-used alone would find nothing on any lap.
    assert [scan(cache, 8) for _ in range(4)] == [0, 4, 4, 4]


def test_what_nobody_asks_for_makes_way() -> None:
    cache = PrefixCache(4 * 10)
    scan(cache, 4, prefix=1)
    assert max(scan(cache, 8, prefix=2) for _ in range(6)) == 4
    assert scan(cache, 4, prefix=1) == 0
