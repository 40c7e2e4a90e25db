"""How a policy is fine-tuned."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Tuning:
    """What decides a fine-tuning beside its policy: from weights rounded by `start`, so many epochs, by cosine to zero.

    `distilled` is the share of the loss that the FP32 network's own answers have; the labels have the rest.
    """

    epochs: int = 4
    peak_learning_rate: float = 2e-4
    distilled: float = 0.5
    start: str = "gptq"
    seed: int = 0
