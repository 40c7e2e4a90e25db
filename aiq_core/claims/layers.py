"""Claims about which layers are quantized first and furthest, the paper's and ours: by size, depth or sensitivity."""

from collections.abc import Iterator, Sequence
from statistics import median

from aiq_core.claims.evidence import (
    HEAVY,
    PLAIN,
    RANK_CORRELATION,
    RESNET,
    Claim,
    Evidence,
    correlation,
    width_by_depth,
    width_by_weights,
)
from aiq_core.intensity import traffic
from aiq_core.records import Run, SplitName
from aiq_core.search.baselines import single_layer
from aiq_core.search.greedy import GREEDY
from aiq_core.wording import number

# The authors' greedy moves on ResNet-20 in order: layer, bits, AI printed after the move.
MOVES = (
    ("layer3.1.conv2", 4, 31.327), ("layer3.2.conv2", 4, 32.960), ("layer3.2.conv1", 4, 34.771),
    ("layer3.1.conv1", 4, 36.793), ("layer3.0.conv2", 4, 39.065), ("layer3.0.conv1", 4, 40.310),
    ("layer2.2.conv1", 4, 40.962), ("layer2.1.conv2", 4, 41.636), ("layer2.1.conv1", 4, 42.333),
    ("layer2.2.conv2", 4, 43.053), ("layer2.0.conv2", 4, 43.798), ("layer2.0.conv1", 8, 44.125),
    ("layer1.0.conv2", 4, 44.319), ("layer1.2.conv1", 8, 44.486), ("layer1.0.conv1", 8, 44.654),
    ("layer1.1.conv1", 8, 44.823), ("layer1.2.conv2", 8, 44.994), ("layer1.1.conv2", 8, 45.166),
    ("conv1", 8, 45.199), ("linear", 8, 45.247),
)  # fmt: skip


def larger_in_paper(evidence: Evidence, run: Run | None) -> Claim:
    """The paper's claim, on greedy's run at its settings."""
    statement = "Larger layers are quantized more aggressively (ResNet-20, greedy at the paper's settings)"
    profile = evidence.profile(RESNET)
    paper = width_by_weights(profile, profile.policy({layer: bits for layer, bits, _ in MOVES})).rho
    claim = Claim.open("paper-larger-layers", statement, RANK_CORRELATION, paper)
    if run is None or run.policy is None:
        return claim
    found, depth = width_by_weights(profile, run.policy), width_by_depth(run.policy)
    note = (
        f"Spearman, bits with weight count over 20 layers, {found.p_text}; bits with depth {depth.text}; "
        "the paper's from its published moves"
    )
    return claim.settled(found.rho, found.is_negative, note, run.id)


def larger(evidence: Evidence, model: str) -> Claim:
    """The same of a model at our settings, with depth and points lost alone beside it."""
    statement = f"Larger layers are quantized more aggressively ({evidence.title(model)}, greedy at alpha 0.9)"
    claim = Claim.open(f"larger-layers-{model}", statement, RANK_CORRELATION)
    run = evidence.search(model, GREEDY.name, 0.9)
    if run is None or run.policy is None:
        return claim
    found, depth = width_by_weights(evidence.profile(model), run.policy), width_by_depth(run.policy)
    lost = evidence.alone(model, 4, SplitName.SEARCH)
    sensitivity = "single layers not measured yet"
    if lost is not None:
        sensitivity = f"with points lost alone at 4 bits {correlation(run.policy.weight_bits, lost).text}"
    note = (
        f"Spearman over {len(run.policy.weight_bits)} layers, bits with weight count, {found.p_text}; "
        f"with depth {depth.text}; {sensitivity}"
    )
    return claim.settled(found.rho, found.is_negative, note, run.id)


def larger_everywhere(evidence: Evidence, model: str) -> Claim:
    """The same in the median over all searches of a model."""
    statement = f"… in the median of every search here that mixes widths ({evidence.title(model)})"
    claim = Claim.open(f"larger-layers-all-{model}", statement, RANK_CORRELATION)
    policies = [run.policy for run in evidence.searches(model) if run.policy is not None]
    mixed = [policy for policy in policies if len(set(policy.weight_bits)) > 1]
    if not mixed:
        return claim
    found = [width_by_weights(evidence.profile(model), policy) for policy in mixed]
    middle = median(entry.rho for entry in found)
    clear = sum(entry.is_negative for entry in found)
    note = (
        f"{clear} of {len(found)} searches below 0 with p < 0.05; from {number(min(e.rho for e in found), 2)} to "
        f"{number(max(e.rho for e in found), 2)}; {len(set(mixed))} distinct policies"
    )
    return claim.settled(middle, middle < 0 and clear > len(found) / 2, note)


def alone(evidence: Evidence) -> Iterator[Claim]:
    """Each ResNet-20 layer alone at INT4: what follows from its weights, and what does not."""
    profile = evidence.profile(RESNET)
    weights = [layer.weights for layer in profile.quantizable]
    singles = traffic(profile, single_layer(profile, 4)).intensity.tolist()
    by_ai = correlation(weights, [round(value, 9) for value in singles])
    statement = "One layer alone at INT4: AI moves predictably with its weights (ResNet-20)"
    note = "Spearman, AI with weight count over 20 layers; computed"
    yield Claim.open("paper-single-layer-ai", statement, RANK_CORRELATION).settled(by_ai.rho, by_ai.rho > 0.99, note)
    statement = "One layer alone at INT4: accuracy does not (ResNet-20)"
    claim = Claim.open("paper-single-layer-accuracy", statement, RANK_CORRELATION)
    lost = evidence.alone(RESNET, 4, SplitName.REPORT)
    if lost is None:
        yield claim
        return
    found = correlation(weights, lost)
    note = (
        f"Spearman, points lost with weight count, {found.p_text}; {number(min(lost), 2)} to {number(max(lost), 2)} "
        f"points lost on {evidence.images(RESNET, SplitName.REPORT):,} report images; "
        "holds below 0.71, where weights explain half of the ranks' variance"
    )
    # Predictable would be a strong correlation; half of the ranks' variance is 0.71.
    yield claim.settled(found.rho, abs(found.rho) < 0.71, note)


def plain_structure(evidence: Evidence) -> Claim:
    """Where all layers have the same channels, nothing but depth and sensitivity could order them."""
    statement = (
        "PlainConvNet20 (18 layers alike): without a difference in channels, depth does not decide who goes first"
    )
    claim = Claim.open("paper-structure-plainconvnet20", statement, RANK_CORRELATION)
    layers = evidence.profile(PLAIN).quantizable
    largest = max(layer.weights for layer in layers)
    alike = [place for place, layer in enumerate(layers) if layer.weights == largest]
    order = _order(evidence, PLAIN, alike)
    if order is None:
        return claim
    run, went, sensitivity = order
    found = correlation(went, alike)
    note = f"Spearman, a layer's place among the moves with its depth, {found.p_text}; holds where p ≥ 0.05"
    return claim.settled(found.rho, found.p >= 0.05, note + sensitivity, run.id)


def heavy_structure(evidence: Evidence) -> Claim:
    """Where the early layers are the wide ones, size and depth pull opposite ways."""
    statement = (
        "HeavyEarlyResNet20 (64, 32, 16, 16 channels): channel count decides which layers go first, before depth"
    )
    claim = Claim.open("paper-structure-heavyearlyresnet20", statement, RANK_CORRELATION)
    weights = [layer.weights for layer in evidence.profile(HEAVY).quantizable]
    places = range(len(weights))
    order = _order(evidence, HEAVY, places)
    if order is None:
        return claim
    run, went, sensitivity = order
    found = correlation(went, weights)
    note = (
        f"Spearman, a layer's place among the moves with its weight count, {found.p_text}; holds where larger layers "
        f"go first (correlation below 0, p < 0.05); with depth {correlation(went, places).text}"
    )
    return claim.settled(found.rho, found.is_negative, note + sensitivity, run.id)


def _order(evidence: Evidence, model: str, places: Sequence[int]) -> tuple[Run, list[int], str] | None:
    """Greedy's run, the place among its moves of the layers at `places`, and how that goes with points lost alone.

    A layer counts by its first move; layers that stay share the last place. None where the run is not made.
    """
    run = evidence.search(model, GREEDY.name, 0.9)
    if run is None:
        return None
    first: dict[str, int] = {}
    for step in run.steps:
        if step.move is not None:
            first.setdefault(step.move.site.name, step.index)
    names = evidence.profile(model).quantizable_names
    went = [first.get(names[place], len(first) + 1) for place in places]
    lost = evidence.alone(model, 4, SplitName.SEARCH)
    if lost is None:
        return run, went, ""
    text = correlation(went, [lost[place] for place in places]).text
    return run, went, f"; with points lost alone at 4 bits {text}"
