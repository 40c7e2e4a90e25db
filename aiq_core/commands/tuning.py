"""The command that fine-tunes a policy."""

from dataclasses import replace
from typing import Annotated, Any

import typer

from aiq_core import fine_tuning
from aiq_core.commands.console import Images, Json, ModelName, Traffic, app, run
from aiq_core.commands.searches import ActivationBits, Bits, PolicyFile, read_policy
from aiq_core.errors import SettingError
from aiq_core.library import open_library
from aiq_core.records import FP32_BITS, UNFUSED, Quantizer, SplitName, Tuning
from aiq_core.rounding import ROUNDINGS
from aiq_core.wording import widths_name


@app.command(name="fine-tune")
def fine_tune(
    model: ModelName,
    bits: Bits = None,
    activation_bits: ActivationBits = FP32_BITS,
    policy: PolicyFile = None,
    run_id: Annotated[
        str | None, typer.Option("--run", help="The policy of a run, with its scales and ranges.")
    ] = None,
    epochs: Annotated[int | None, typer.Option(help=f"Passes over the training images; {Tuning().epochs}.")] = None,
    rate: Annotated[
        float | None, typer.Option(help=f"The highest learning rate; {Tuning().peak_learning_rate:g}.")
    ] = None,
    start: Annotated[
        str | None, typer.Option(help=f"Where it begins: {', '.join(ROUNDINGS)}; {Tuning().start}.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Of order and crops.")] = None,
    images: Images = None,
    traffic: Traffic = UNFUSED,
    as_json: Json = False,
) -> None:
    """Train a policy on at its widths, then measure it; killed or cancelled, resume loses at most an epoch."""
    library = open_library()
    known = library.model(model)
    if sum(given is not None for given in (bits, policy, run_id)) != 1:
        raise SettingError("give one of --bits, --policy FILE and --run RUN")
    like, tuning = Quantizer(), Tuning()
    if run_id is not None:
        asked = library.run(run_id)
        if asked.request.model != model or asked.policy is None:
            raise SettingError(f"run {run_id} has no policy of {model}; choose a run that `runs --model {model}` lists")
        chosen, label, like = asked.policy, f"policy of run {run_id}", asked.request.quantizer
        if asked.request.tuning is not None:
            label, tuning = asked.request.label or label, asked.request.tuning
    elif policy is not None:
        chosen, label = read_policy(policy, known.profile), policy.name
    else:
        assert bits is not None
        chosen, label = known.profile.uniform(bits, activation_bits), widths_name(bits, activation_bits)
    given: dict[str, Any] = {"epochs": epochs, "peak_learning_rate": rate, "start": start, "seed": seed}
    tuning = replace(tuning, **{name: value for name, value in given.items() if value is not None})
    count = images or known.dataset.available(SplitName.SEARCH)
    run(library, replace(fine_tuning.request(known, chosen, tuning, count, label, like), traffic=traffic), as_json)
