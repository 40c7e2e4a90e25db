"""What lesson 5 says of a search: each step, the question with its answers, and the formula with its numbers in."""

from aiq_core.catalog import Model
from aiq_core.charts.lessons.walk import Walk, WalkStep
from aiq_core.intensity import intensity
from aiq_core.records import FP32_BITS, Move, Outcome
from aiq_core.wording import bits_name, join, number
from pages.learn.frame import Answer, Notes
from pages.learn.runs import ALPHA, objective, run_of

KEY = "│ best loss possible ● measured ▷ stopped early ★ wins"
FROZEN = "; a padlock: greedy never changes it again"
TERMS = (
    "Loss",
    "Normalisers",
    "Alpha",
    "Greedy",
    "Coordinate descent",
    "Sweep",
    "Policy",
    "Bit-width",
    "Arithmetic intensity (AI)",
)
HOW = (
    "Loss = accuracy lost − intensity, weighed by alpha. Intensity is known beforehand; the best loss possible "
    "assumes that no accuracy is lost, so a move whose best cannot win needs no measuring."
)
ANSWERS = (
    Answer("Greedy: it always takes the best", "The best of what is offered, and only FP32 layers are."),
    Answer("Nobody", "True of greedy. A sweep offers every width again, 32 too."),
    Answer("Both: they ended alike in the paper", "One coincidence is no guarantee."),
    Answer("Coordinate descent, in its next sweep", "A sweep offers each layer every width again.", True),
)


def step_text(step: WalkStep) -> str:
    """A step's arithmetic in words."""
    if not step.options:
        return f"Step {step.index}: nothing left to move"
    return (
        f"Step {step.index}: {len(step.options)} moves, {step.measured} measured, {step.settled} settled by arithmetic"
    )


def message(step: WalkStep, shown: Walk) -> str:
    """How few of a step's moves had to be measured, and what became of it."""
    move = "keeps what it has" if step.layer is None else f"{step.layer} goes to {bits_name(step.bits or 32)}"
    if not step.options:
        return f"Step {step.index} of {len(shown.steps)}: nothing left to move."
    return (
        f"Step {step.index} of {len(shown.steps)}: {len(step.options)} moves, :violet[{step.measured} measured, "
        f"{step.settled} "
        f"settled by arithmetic]; {move}."
    )


def question(first: Walk) -> str:
    """Who can take the first move back?"""
    move = first.moves[0]
    later = max(2, min(15, len(first.steps) - 1))
    return (
        f"Greedy put {move.layer} at {bits_name(move.bits or 32)} in step 1. Suppose at step {later} this turns out "
        "to hurt. Which "
        "search can undo it?"
    )


def truth(seen: list[Walk]) -> str:
    """What the second sweeps did in the runs known."""
    head = "**Coordinate descent, in its next sweep.**"
    if not seen:
        return f"{head} No such run of this model is known yet: choose coordinate descent under the chart to start one."
    usual = next((each for each in seen if each.alpha == ALPHA), None)
    restless = [each for each in seen if each.changed_again]
    if usual is not None:
        again = len(usual.changed_again)
        what = _layers(again) if again else "none changed its mind: sweep 2 confirmed sweep 1"
        head += f" At alpha {ALPHA:g}, {what}."
    if restless:
        most = max(restless, key=lambda each: len(each.changed_again))
        # A layer that moved before and moves again shows it best; one that leaves FP32 late had only waited.
        example = next((step for step in most.changed_again if step.before != FP32_BITS), most.changed_again[0])
        head += (
            f" At {len(restless)} of {len(seen)} alphas searched one did or more, most at alpha {most.alpha:g}: "
            f"{_layers(len(most.changed_again))}, such as {_change(example)}."
        )
    return head


def _layers(count: int) -> str:
    return "1 layer changed its mind" if count == 1 else f"layers changed their mind {count} times"


def _change(step: WalkStep) -> str:
    return f"{step.layer}: {bits_name(step.before or 32)} → {bits_name(step.bits or 32)} in sweep {step.sweep}"


def formula(step: WalkStep, shown: Walk) -> str:
    """The winner's loss, a loser's, and a pruned one's bound, with their numbers in."""
    rule = objective(run_of(shown))
    # A pruned one that ties with the winner lost by order; the arithmetic shows on one that lies behind.
    won, lost, pruned = (
        min(
            (option for option in step.options if option.outcome is outcome),
            key=lambda option: (option.outcome is Outcome.PRUNED and option.bound <= step.loss, option.bound),
            default=None,
        )
        for outcome in (Outcome.WON, Outcome.LOST, Outcome.PRUNED)
    )
    parts = []
    norm = number(rule.intensity_normaliser, 2)
    if won is not None and won.score is not None and won.loss is not None:
        right = [number(100 * count / rule.images, 2) for count in (rule.baseline_score, won.score)]
        parts.append(
            f"**winner** {won.move.site.name} −{rule.alpha:g} × {number(won.intensity, 3)}/{norm} + "
            f"{1 - rule.alpha:.1g} × max(0, {right[0]} − {right[1]})/{rule.accuracy_normaliser:g} = "
            f"**{number(won.loss, 4)}**"
        )
    if lost is not None and lost.score is not None and lost.loss is not None:
        parts.append(
            f"**loser** {lost.move.site.name} ({number(100 * lost.score / rule.images, 2)} %) {number(lost.loss, 4)}"
        )
    if pruned is not None:
        parts.append(
            f"**pruned** {pruned.move.site.name} at {bits_name(pruned.move.bits)}: bound −{rule.alpha:g} × "
            f"{number(pruned.intensity, 3)}/{norm} = {number(pruned.bound, 4)}"
        )
    if not parts:
        parts.append(f"no move beats the loss {number(step.loss, 4)} that it has")
    return join(parts)


def notes(first: Walk, model: Model) -> Notes:
    """Try this, and the teacher's note."""
    layers, moves = len(first.layers), sum(len(step.options) for step in first.steps)
    half = len(first.steps) // 2
    early = sum(step.measured for step in first.steps[:half])
    early_moves = sum(len(step.options) for step in first.steps[:half])
    asked = first.steps[-1].evaluations
    policies = 3**layers
    many = f"3^{layers} = {policies:,}" if layers <= 20 else f"3^{layers} ≈ 10^{len(str(policies)) - 1}"
    return Notes(
        f"Scrub to the end. Here the bound needs {asked:,} of {moves:,} evaluations: {early:,} of the first "
        f"{early_moves:,}, {asked - early:,} of the rest. Why does it go blunt?",
        "(It assumes that the accuracy spent so far comes back.)",
        "An exact bound skips most moves. What does “exact” mean here, and does it make the result the best there is?",
        f"The winner is the one that measuring everything finds. The best of {many} policies it need not be: "
        f"greedy tries at most {layers * (layers + 1):,} moves, a sweep {2 * layers}. {_allowance(first, model)} "
        "Whose decision survives new images?",
    )


def _allowance(first: Walk, model: Model) -> str:
    """How many images the smallest and the largest layer may cost at 4 bits and still pay, from FP32."""
    profile, rate = model.profile, objective(run_of(first)).points_per_intensity
    sizes = [layer.weights for layer in profile.quantizable]
    fp32 = profile.uniform(32)
    said = []
    for size in (min(sizes), max(sizes)):
        site = profile.weight_sites[sizes.index(size)]
        gain = intensity(profile, profile.moved(fp32, Move(site, 4))) - intensity(profile, fp32)
        said.append(f"{site.name} may cost {int(rate * gain * first.images / 100):,}")
    return f"At alpha {first.alpha:g}, of {first.images:,} images, {said[0]}, {said[1]}."
