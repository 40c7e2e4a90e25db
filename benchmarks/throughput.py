"""The paper's throughput experiment on this machine, predicted and measured: `python -m benchmarks.throughput`.

MobileNetV2 and ResNet-20 in PyTorch eager, ONNX Runtime and OpenVINO: FP32, the paper's 12 layers, 12 random ones by
five seeds, ours by AI and by time, all INT8; all of a batch in the same rounds. Then tables of their kernels, and
how far each predictor is off. All is kept as measurements in the store, so it may be interrupted; `--again` measures
anew. `python -m aiq_core bundle-measurements` ships what a store holds. Run it on a quiet machine.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import median

from aiq_core.catalog import Model
from aiq_core.deployment.compared import JUDGED, UNIFORM, Compared, compared, errors, layer_ranks
from aiq_core.deployment.engine import RUNTIMES, Engine
from aiq_core.deployment.experiment import PAPER_LAYERS, SEARCHED, experiment
from aiq_core.deployment.prediction import Measured
from aiq_core.deployment.rows import Row, rows
from aiq_core.execute import Evaluators, execute, new_run, timestamp
from aiq_core.library import Library, open_library
from aiq_core.runtime.cpu import cpu_flags, cpu_kind
from aiq_core.runtime.roof import FLAGS
from aiq_core.tasks import fastest, kernels
from aiq_core.tasks.bench import Wanted, benched
from benchmarks._common import markdown

BATCHES = (1, 8, 32, 128, 256)

PAGE = Path(__file__).resolve().parent.parent / "docs" / "deployment.md"
MARK = "<!-- from here on as `python -m benchmarks.throughput --write` says -->"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, nargs="+", default=list(BATCHES))
    parser.add_argument("--models", nargs="+", default=list(PAPER_LAYERS))
    parser.add_argument("--again", action="store_true", help="measure what is known anew")
    parser.add_argument("--write", action="store_true", help=f"write {PAGE.name} too")
    options = parser.parse_args()
    library, since = open_library(), timestamp() if options.again else "2000"
    flags = ", ".join(flag for flag in FLAGS if flag in cpu_flags())
    parts: list[str] = []
    found: list[Compared] = []
    for name in options.models:
        model = library.model(name)
        _tables(library, model, options.batches, options.again)
        _search(library, model)
        wanted = Wanted(name, batches=tuple(options.batches), since=since, experiment=True)
        benched(library, wanted, lambda share, told: print(f"\r{share:4.0%} {told:100.100}", end="", flush=True))
        print()
        known = rows(library, model, experiment(library, model), cpu_kind(), 1, options.batches)
        if not parts:
            parts.append(_where(known[0], flags))
        parts += [f"## {model.card.title}", _table(known)]
        judged = [row for row in known if row.timing.batch in JUDGED]
        found += compared(library, model, judged)
        parts.append(_ranks(library, model, judged))
    text = "\n\n".join([*parts, "## Predicted against measured", _errors(found)]) + "\n"
    print(text)
    if options.write:
        known_until, _ = PAGE.read_text(encoding="utf-8").split(MARK)
        PAGE.write_text(f"{known_until}{MARK}\n\n{text}", encoding="utf-8")


def _where(row: Row, flags: str) -> str:
    place = row.timing.place
    versions = ", ".join(f"{name} {version}" for name, version in place.versions.items())
    rounds = len(row.timing.seconds)
    return (
        f"Measured {row.timing.created_at[:10]} on {place.cpu}, {place.threads} thread; {versions}; CPU flags: {flags}."
        f" Images/s, the median of {rounds} rounds; × FP32 in the same engine, with its lowest and highest round."
    )


def _tables(library: Library, model: Model, batches: Sequence[int], again: bool) -> None:
    for engine in RUNTIMES:
        for batch in batches:
            if again or Measured.of(library, model.hash, engine, batch, 1, cpu_kind()).table is None:
                kernels.measured(library, model.name, engine, batch, 1, lambda share, told: None)


def _search(library: Library, model: Model) -> None:
    """The search for time, by the table that is known."""
    engine, batch = SEARCHED
    table = Measured.of(library, model.hash, engine, batch, 1, cpu_kind()).table
    if table is None:
        return
    request = fastest.request(library, model.name, table)
    if not any(run.request.digest == request.digest for run in library.runs(model)):
        run = library.add_run(new_run(model, request))
        execute(library, run, Evaluators(2))


def _table(known: Sequence[Row]) -> str:
    header = ["engine", "variant", "top-1 %", "lost", "equal %"]
    batches = sorted({row.timing.batch for row in known})
    lines = []
    for engine in Engine:
        names = dict.fromkeys(row.variant.name for row in known if row.engine is engine)
        for name in names:
            own = {row.timing.batch: row for row in known if row.engine is engine and row.variant.name == name}
            first = next(iter(own.values()))
            judged, deployed = first.against_fp32, first.deployed
            line = [engine.words, first.variant.title]
            line.append("" if judged is None else f"{judged.after.value:.2f}")
            line.append("" if judged is None else f"{judged.drop.value:.2f}")
            line.append("" if deployed is None else f"{deployed.agreement_percent:.2f}")
            lines.append([*line, *(_cell(own.get(batch)) for batch in batches)])
    return markdown([*header, *(f"batch {batch}" for batch in batches)], lines, left=2)


def _cell(row: Row | None) -> str:
    """Images/s, times the same engine's FP32 with its spread, times eager's."""
    if row is None:
        return ""
    own, eager = row.timing.ratio_to_engine_fp32, row.timing.ratio_to_eager_fp32
    parts = [f"{row.timing.images_per_s.value:,.0f}"]
    if own is not None and not row.variant.is_fp32:
        parts.append(f"{own.value:.2f} ({own.low:.2f}–{own.high:.2f})")
    if eager is not None and row.engine is not Engine.EAGER:
        parts.append(f"eager × {eager.value:.2f}")
    return ", ".join(parts)


def _ranks(library: Library, model: Model, judged: Sequence[Row]) -> str:
    """Rank correlations of layers, the median over engines and batches, of the two uniform variants."""
    found = layer_ranks(library, model, judged)
    told = (f"{predictor} {median(values):.2f} (lowest {min(values):.2f})" for predictor, values in found.items())
    return f"Rank correlation of layers' times: {', '.join(told)}"


def _errors(found: Sequence[Compared]) -> str:
    lines = []
    for words, of in (
        ("uniform", [each for each in found if each.row.variant.name in UNIFORM]),
        ("mixed", [each for each in found if each.is_mixed]),
    ):
        for predictor, off in errors(of).items():
            same = [each for each in of if each.predictor is predictor and not each.row.variant.is_fp32]
            right = sum(each.is_sign_right for each in same)
            line = [words, str(predictor), str(off.points), f"{100 * off.median:.0f}", f"{100 * off.near:.0f}"]
            lines.append([*line, f"{right} of {len(same)}"])
    header = ("policies", "predictor", "points", "median error, %", "within 30 %, %", "faster than FP32 or not, right")
    return markdown(header, lines, left=2)


if __name__ == "__main__":
    main()
