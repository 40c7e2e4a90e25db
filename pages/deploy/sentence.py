"""The page's message, made from what is measured."""

from aiq_core.deployment.engine import Engine
from aiq_core.deployment.rows import Row
from aiq_core.deployment.words import gain_words, loss_words, predicted_words


def sentence(title: str, row: Row | None, engine: Engine, machine: str) -> str:
    """One sentence; `machine` is how it is called, `this machine` where it is the reader's."""
    if row is None:
        return f"What {title} gains in {engine.words} is not measured yet"
    ratio = row.timing.ratio_to_engine_fp32
    assert ratio is not None  # every runtime is timed beside its own FP32
    what = title if row.variant.name == "int8" else f"{title}’s policy"
    as_what = " in INT8" if row.variant.name == "int8" else ""
    gain = gain_words(ratio, ":violet[{}]")
    said = f"On {machine} {engine.words} runs {what}{as_what} {gain} at batch {row.timing.batch}"
    return f"{said}, {'; '.join([loss_words(row), *predicted_words(row.predicted)])}"
