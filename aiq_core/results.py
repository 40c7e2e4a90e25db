"""The bundled results: which runs the app ships with, made by one resumable command and published into assets/."""

import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from aiq_core.catalog import Model
from aiq_core.claims.evidence import BUDGETS, PAPER
from aiq_core.envelope import envelope, within_budget
from aiq_core.execute import Evaluators, execute, new_run
from aiq_core.library import BUNDLED_RESULTS, Library
from aiq_core.records import ImageSet, Request, Run, RunStatus, SplitName
from aiq_core.search.baselines import MANUAL, RANDOM, SINGLE_LAYER, UNIFORM, random_like, single_layer, uniform
from aiq_core.search.coordinate import COORDINATE
from aiq_core.search.greedy import GREEDY
from aiq_core.search.memo import Memo
from aiq_core.space import JOINT, WEIGHTS, Space, choosing, quantizer, weights_front
from aiq_core.store import Store
from aiq_core.store.bundle import publish
from aiq_core.wording import widths_name

WORKSHOP = Path(__file__).parent.parent / ".results" / "store.sqlite"
"""Where `make results` works; it goes on there after an interruption."""

RANDOM_SEEDS = (0, 1, 2, 3, 4)
SEARCHED = (("resnet20", 5000), ("mobilenet_v2", 5000), ("digits_cnn", 500))
"""Model and search images: all of them."""

STRUCTURE = (("plain_convnet20", 5000), ("heavy_early_resnet20", 5000))
"""Models of other structure, to ask which layers go first and why; searched at fewer alphas."""

TENTHS = tuple(tenth / 10 for tenth in range(11))

EVEN = ((8, 8), (6, 6), (4, 8), (4, 6), (3, 6), (4, 4))
"""Weight and activation bits of the uniform policies that joint searches are compared with."""

JOINT_ALPHA = 0.5
"""The alpha of the joint search that random policies copy."""

JOINT_ALPHAS = (0.5, 0.3, 0.8, 0.1, 0.9, 0.2, 0.7, 0.4, 0.6, 1.0, 0.0)
"""The most telling first."""


def main_runs(library: Library) -> Iterator[Request]:
    """Every run of the main models, the most telling first; the random baselines copy a run made before."""
    for model, images in SEARCHED:
        yield from _first(library, model, images)
    for model, images in SEARCHED:
        for alpha in (0.5, 0.3, 0.2, 0.1):
            yield _search(model, images, GREEDY.name, alpha)
    yield _search("resnet20", 5000, COORDINATE.name, 0.9)
    yield _search("resnet20", 5000, GREEDY.name, 0.9, label="the paper's normaliser and floor", **PAPER)
    for model, images in SEARCHED:
        yield from _baselines(library, model, images)
    for alpha in (0.5, 0.1):
        yield _search("resnet20", 5000, COORDINATE.name, alpha)
    yield _search("resnet20", 5000, COORDINATE.name, 0.9, label="the paper's normaliser and floor", **PAPER)
    for algorithm in (GREEDY.name, COORDINATE.name):
        for model, images in (("digits_cnn", 500), ("resnet20", 5000), ("mobilenet_v2", 5000)):
            for alpha in TENTHS:
                yield _search(model, images, algorithm, alpha)


def structure_runs(library: Library) -> Iterator[Request]:
    """The runs of the structure models."""
    for model, images in STRUCTURE:
        yield from _first(library, model, images)
    for model, images in STRUCTURE:
        yield from _baselines(library, model, images)
    for model, images in STRUCTURE:
        yield _search(model, images, COORDINATE.name, 0.9)


def joint_runs(library: Library) -> Iterator[Request]:
    """The runs of the joint space, and its uniform policies with weights rounded to nearest beside them."""
    yield from _wide_weights(library, "resnet20", 5000)
    for models, alphas in ((SEARCHED, JOINT_ALPHAS[:5]), (STRUCTURE, JOINT_ALPHAS[:3])):
        for model, images in models:
            yield from _even(library, model, images, JOINT.rounding)
        for alpha in alphas:
            for model, images in models:
                yield _joint(library, model, images, GREEDY.name, alpha)
        for model, images in models:
            yield from _even(library, model, images, WEIGHTS.rounding)
            yield from _joint_random(library, model, images)
    for model, images in SEARCHED:
        yield _joint(library, model, images, COORDINATE.name, JOINT_ALPHA)
    for alpha in JOINT_ALPHAS[5:]:
        for model, images in SEARCHED:
            yield _joint(library, model, images, GREEDY.name, alpha)


def front_runs(library: Library) -> Iterator[Request]:
    """The frontier of every model, and its points measured on report images."""
    for model, images in (*SEARCHED, *STRUCTURE):
        known = library.model(model)
        yield from _front(library, JOINT.front_request(model, JOINT.quantizer(known.dataset), known.profile, images))
    known = library.model("resnet20")
    yield from _front(library, weights_front(known.name, known.dataset, known.profile, 5000))


def _front(library: Library, request: Request) -> Iterator[Request]:
    yield request
    policies = tuple(dict.fromkeys(step.policy for step in library.run(request.digest).steps))
    listed = _listed(request.model, request.images, MANUAL.name, policies, "the points of the frontier")
    yield replace(listed, quantizer=request.quantizer)


def _joint(library: Library, model: str, images: int, algorithm: str, alpha: float) -> Request:
    known = library.model(model)
    return JOINT.request(model, JOINT.quantizer(known.dataset), known.profile, algorithm, alpha, images)


def _wide_weights(library: Library, model: str, images: int) -> Iterator[Request]:
    """Weights alone, as in the paper, but rounded by GPTQ to more widths."""
    known = library.model(model)
    how = quantizer(known.dataset, JOINT.rounding)
    for alpha in (0.7, 0.8, 0.9, 0.95):
        usual = _search(model, images, GREEDY.name, alpha, label="weights only, GPTQ, 8 to 2 bits")
        yield replace(
            usual,
            widths=(8, 6, 4, 3, 2),
            quantizer=how,
            start=known.profile.uniform(8),
            choose_images=choosing(images),
        )


def _even(library: Library, model: str, images: int, rounding: str) -> Iterator[Request]:
    known = library.model(model)
    how = quantizer(known.dataset, rounding, activations=True)
    for bits in EVEN:
        policies, label = uniform(known.profile, *bits), f"{widths_name(*bits)}, {rounding}"
        yield replace(_listed(model, images, UNIFORM.name, policies, label), quantizer=how)


def _joint_random(library: Library, model: str, images: int) -> Iterator[Request]:
    searched = _joint(library, model, images, GREEDY.name, JOINT_ALPHA)
    found = library.run(searched.digest).policy
    assert found is not None  # it is done before this is asked for
    for seed in RANDOM_SEEDS:
        label = f"sites of greedy at alpha {JOINT_ALPHA:g} drawn at random, seed {seed}"
        request = _listed(model, images, RANDOM.name, random_like(found, seed), label)
        yield replace(request, quantizer=searched.quantizer)


def _first(library: Library, model: str, images: int) -> Iterator[Request]:
    """What a model is nothing without: greedy at alpha 0.9, and the uniform widths to compare it with."""
    yield _search(model, images, GREEDY.name, 0.9)
    for bits in (8, 4):
        yield _listed(model, images, UNIFORM.name, uniform(library.model(model).profile, bits), f"all at {bits} bits")


def _search(model: str, images: int, algorithm: str, alpha: float, **settings: object) -> Request:
    return replace(Request(model, algorithm, alpha, images=images), **settings)  # type: ignore[arg-type]


def _listed(model: str, images: int, algorithm: str, policies: tuple[object, ...], label: str) -> Request:
    return replace(Request(model, algorithm, images=images), policies=policies, label=label)  # type: ignore[arg-type]


def _baselines(library: Library, model: str, images: int) -> Iterator[Request]:
    profile = library.model(model).profile
    greedy = library.run(_search(model, images, GREEDY.name, 0.9).digest).policy
    assert greedy is not None  # it is done before this is asked for
    for seed in RANDOM_SEEDS:
        label = f"layers of greedy at alpha 0.9 drawn at random, seed {seed}"
        yield _listed(model, images, RANDOM.name, random_like(greedy, seed), label)
    for bits in (8, 4):
        yield _listed(model, images, SINGLE_LAYER.name, single_layer(profile, bits), f"each layer alone at {bits} bits")


def make(report: Callable[[str], None], threads: int | None = None) -> None:
    """Makes every wanted run that is not done yet and publishes after each; then the report figures of the best.

    A new workshop starts from what is bundled; delete both to make everything anew.
    """
    if BUNDLED_RESULTS.is_file() and not WORKSHOP.is_file():
        WORKSHOP.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(BUNDLED_RESULTS, WORKSHOP.with_suffix(".copy"))
        WORKSHOP.with_suffix(".copy").replace(WORKSHOP)
    library = Library(Store(WORKSHOP), None)
    evaluators = Evaluators(threads)
    for runs, models, space in (
        (main_runs, SEARCHED, WEIGHTS),
        (structure_runs, STRUCTURE, WEIGHTS),
        (front_runs, (*SEARCHED, *STRUCTURE), JOINT),
        (joint_runs, (*SEARCHED, *STRUCTURE), JOINT),
    ):
        for request in runs(library):
            _make(library, request, evaluators, report)
        for model, images in models:
            report(f"{model}, {space.title}: report figures of every policy that is best at some alpha or budget")
            report_best(library, library.model(model), images, space, evaluators)
            publish(library.store, BUNDLED_RESULTS)


def _make(library: Library, request: Request, evaluators: Evaluators, report: Callable[[str], None]) -> None:
    run = _stored(library, request)
    if run.status is RunStatus.DONE:
        return
    report(f"{request.model} {request.algorithm} {request.alpha if request.alpha is not None else request.label}")
    run = execute(library, run, evaluators)
    if run.status is not RunStatus.DONE:
        raise RuntimeError(f"run {run.id} ended {run.status}: {run.message}\n{run.traceback}")
    report(f"  {run.evaluations} evaluations ({run.evaluations_new} new) in {run.seconds:.0f} s")
    publish(library.store, BUNDLED_RESULTS)


def _stored(library: Library, request: Request) -> Run:
    if library.store.has_run(request.digest):
        return library.store.run(request.digest)
    return library.store.add_run(new_run(library.model(request.model), request))


def report_best(library: Library, model: Model, images: int, space: Space, evaluators: Evaluators) -> None:
    """Measures what is best at some alpha, and of JOINT within some budget, on the report images.

    For all search images, and for the excerpt.
    """
    profile, dataset, how = model.profile, model.dataset, space.quantizer(model.dataset)
    judged = ImageSet(SplitName.REPORT, dataset.available(SplitName.REPORT))
    memo = Memo(
        metric=model.metric,
        key_of=lambda policy: library.key(model, SplitName.REPORT, policy, how),
        labels=dataset.report.labels,
        images=judged,
        store=library,
        make_evaluator=lambda: evaluators(model, judged, how),
    )
    for count in sorted({images, dataset.excerpt_size}):
        table = library.table_in(space, model, count)
        rows = {segment.row for segment in envelope(table, table.usual_goal)}
        if space is JOINT:
            rows |= {within_budget(table, points) for points in BUDGETS}
        for row in sorted(rows):
            memo.ask(table.policies[row], None, profile.uniform(32))
