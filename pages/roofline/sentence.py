"""The page's message, made from the numbers, and whose numbers they are."""

from dataclasses import dataclass

from aiq_core.hardware import Machine
from aiq_core.roof import Roof, threads_words
from aiq_core.wording import number, significant
from pages.common.machines import GRADES


@dataclass(frozen=True)
class Facts:
    """What the sentence is made of: layers that wait for bytes before, and what bits are predicted to save.

    `before` names the policy before. `ridge` is in FLOPs/byte, that of the arithmetic that layers compute in before.
    """

    machine: str
    title: str
    before: str
    batch: int
    ridge: float
    memory_bound: int
    layers: int
    speed_up: float


def sentence(facts: Facts, mark: str = "") -> str:
    """One sentence; `mark` (such as `**`) goes around what is gained."""
    at = "" if facts.batch == 1 else f" at batch {facts.batch}"
    if facts.memory_bound == 0:
        bound = f"no layer of {facts.title} waits for bytes"
    elif facts.memory_bound == facts.layers:
        bound = f"all {facts.layers} layers of {facts.title} wait for bytes"
    else:
        verb = "waits" if facts.memory_bound == 1 else "wait"
        bound = f"{facts.memory_bound} of {facts.layers} layers of {facts.title} {verb} for bytes"
    return f"On {facts.machine}{at}, {bound} in {facts.before}, {_gain(facts, mark)}"


def _gain(facts: Facts, mark: str) -> str:
    if facts.speed_up >= 1.005:
        return f"so the bits shown are {mark}a predicted {number(facts.speed_up, 2)} × as fast{mark}"
    if facts.speed_up < 0.995:
        return f"and the bits shown are {mark}a predicted {number(1 / facts.speed_up, 2)} × slower{mark}"
    return f"and the bits shown {mark}save no time{mark}"


def origin(machine: Machine, roof: Roof | None) -> str:
    """Who vouches for the machine's numbers."""
    if roof is None:
        return f"{GRADES[machine.grade][:1].upper()}{GRADES[machine.grade][1:]}; not measured here"
    versions = ", ".join(f"{name} {version}" for name, version in roof.versions.items())
    flags = f"; {', '.join(roof.flags)}" if roof.flags else ""
    return (
        f"Measured on {roof.created_at[:10]} by {threads_words(roof.threads)} of {roof.cpu}: medians, bands from the "
        f"lowest to the highest round; {versions}{flags}"
    )


def ridge_words(facts: Facts) -> str:
    """Where the roof bends."""
    return f"ridge {significant(facts.ridge)} FLOPs/byte"
