"""Variants: what of a run is deployed, the longest suffix at equal accuracy, and names that depend on content."""

from dataclasses import replace

import pytest

from aiq_core.deployment.variant import Variant, deployable, deployed_policy, fp32, int8_layers, variants
from aiq_core.errors import SettingError
from aiq_core.hardware import NumberType
from aiq_core.library import Library, open_library
from aiq_core.records import ImageSet, Policy, Quantizer, Run, RunStatus, Score
from aiq_core.space import JOINT
from tests import bundled

MODEL = bundled.model("digits_cnn")
PROFILE = MODEL.profile
NAMES = PROFILE.quantizable_names
HOW = JOINT.quantizer(MODEL.dataset)
WHOLE = PROFILE.uniform(8, 8)


@pytest.fixture(scope="module")
def library() -> Library:
    return open_library()


@pytest.fixture(scope="module")
def weights(library: Library) -> Run:
    """A bundled run of weights alone."""
    return next(
        run
        for run in library.runs(MODEL)
        if run.request.algorithm == "greedy" and run.policy is not None and not run.policy.has_activations
    )


def test_a_layer_of_integers_reads_and_writes_integers() -> None:
    policy = int8_layers(PROFILE, [NAMES[1]])
    second = PROFILE.layers[1]
    assert PROFILE.named_bits(policy) == {name: 8 if name == NAMES[1] else 32 for name in NAMES}
    narrow = {name for name, bits in PROFILE.named_activation_bits(policy).items() if bits == 8}
    assert narrow == {second.input_group, second.output_group}


def test_the_image_stays_and_logits_have_no_width() -> None:
    first, last = PROFILE.layers[0], PROFILE.layers[-1]
    narrow = {n for n, bits in PROFILE.named_activation_bits(int8_layers(PROFILE, [NAMES[0]])).items() if bits == 8}
    assert narrow == {first.output_group}
    narrow = {n for n, bits in PROFILE.named_activation_bits(int8_layers(PROFILE, [NAMES[-1]])).items() if bits == 8}
    assert narrow == {last.input_group}


def test_the_longest_suffix_that_is_no_worse_than_the_policy(library: Library, weights: Run) -> None:
    asked: list[tuple[Policy, ImageSet]] = []
    good = {weights.policy: 490, int8_layers(PROFILE, NAMES[2:]): 490, int8_layers(PROFILE, NAMES[3:]): 495}

    def ask(policy: Policy, how: Quantizer, images: ImageSet, needs: Score | None) -> Score | None:
        asked.append((policy, images))
        score = good.get(policy, 489)
        return score if needs is None or score >= needs else None

    found = {variant.name: variant for variant in variants(library, MODEL, weights, ask)}
    assert list(found) == ["fp32", "bf16", "policy", "policy-int8", "int8", "suffix"]
    assert found["suffix"].policy == int8_layers(PROFILE, NAMES[2:])
    assert NAMES[2] in found["suffix"].note
    # The policy, all INT8, the suffix from the second layer on, and then the one that was good enough.
    assert [policy for policy, _ in asked] == [
        weights.policy,
        WHOLE,
        int8_layers(PROFILE, NAMES[1:]),
        int8_layers(PROFILE, NAMES[2:]),
    ]
    assert len({images for _, images in asked}) == 1


def test_no_suffix_where_the_whole_network_will_do(library: Library, weights: Run) -> None:
    found = variants(library, MODEL, weights, lambda policy, how, images, needs: 490)
    assert [variant.name for variant in found] == ["fp32", "bf16", "policy", "policy-int8", "int8"]


def test_weights_alone_are_deployed_with_integer_activations_too(library: Library, weights: Run) -> None:
    found = {variant.name: variant for variant in variants(library, MODEL, weights)}
    both = found["policy-int8"]
    assert both.policy.weight_bits == weights.policy.weight_bits
    assert both.quantizer == replace(weights.request.quantizer, activations=HOW.activations)
    narrow = [name for name, bits in PROFILE.named_bits(weights.policy).items() if bits <= 8]
    assert both.policy.activation_bits == int8_layers(PROFILE, narrow).activation_bits


def test_two_that_are_the_same_are_one(library: Library, weights: Run) -> None:
    run = replace(weights, policy=WHOLE, request=replace(weights.request, quantizer=HOW))
    assert [variant.name for variant in variants(library, MODEL, run)] == ["fp32", "bf16", "policy"]


def test_a_front_stands_first_and_deploys_its_point(library: Library, weights: Run) -> None:
    first = deployable(library, MODEL)[0]
    assert first.request.points is not None
    assert first.request.is_joint
    steps = {step.policy for step in library.run(first.id).steps}
    assert deployed_policy(library, library.run(first.id)) in steps
    unfinished = replace(weights, policy=None, status=RunStatus.RUNNING)
    with pytest.raises(SettingError, match=f"run {weights.id} has no policy of its own to deploy"):
        deployed_policy(library, unfinished)


def test_its_key_says_what_it_is_and_not_what_it_is_called() -> None:
    plain = fp32(MODEL)
    assert replace(plain, name="other", title="Other").key == plain.key
    # FP32 has one key under every quantizer.
    assert replace(plain, quantizer=HOW).key == plain.key
    whole = Variant("int8", "all INT8", WHOLE, HOW)
    keys = {plain.key, replace(plain, precision=NumberType.BF16).key, whole.key}
    keys |= {replace(whole, quantizer=replace(HOW, rounding="nearest", calibration=None)).key}
    assert len(keys) == 4
    assert Variant.from_json(whole.to_json()) == whole
