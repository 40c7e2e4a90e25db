"""Running a request to its end: the strategy, the memo, the report figures, and every state on the way kept."""

import logging
import textwrap
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import tee

from aiq_core import fine_tuning, objective
from aiq_core.catalog import Model
from aiq_core.errors import AiqError, Cancelled, InfeasibleError
from aiq_core.frontier import Sensitivity, parse_budgets
from aiq_core.hardware import PRESETS, Machine
from aiq_core.library import Library
from aiq_core.machines import Evaluators, Machines, on, require
from aiq_core.objective import Objective
from aiq_core.records import ImageSet, Policy, Request, Run, RunStatus, Score, SplitName, Step
from aiq_core.search.baselines import listed
from aiq_core.search.check import check, check_machines
from aiq_core.search.memo import Memo
from aiq_core.search.problem import Problem, Question
from aiq_core.search.strategies import strategy
from aiq_core.store.store import MEASURED

_log = logging.getLogger(__name__)

HEARTBEAT_S = 0.2
"""How often a search looks whether it should stop, and between its steps writes how much it has asked for."""

MOST_SAID = 300
"""Characters of an unforeseen error that a run's message repeats; its traceback has them all."""


class _BudgetSpentError(AiqError):
    """The search has used what it was given; it ends properly at its best so far."""


def timestamp() -> str:
    """Now, as runs keep it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def new_run(model: Model, request: Request, machines: Mapping[str, Machine] = PRESETS) -> Run:
    """A queued run of a checked request; a time that it keeps is on one of `machines`.

    Raises SettingError, UnknownNameError or InfeasibleError where the request cannot be run.
    """
    check(request, model.profile)
    check_machines(request, model.profile, machines)
    require(request)
    model.dataset.search.require(ImageSet(SplitName.SEARCH, request.images).images)
    return Run(
        id=request.digest_with(model.identity),
        request=request,
        model_hash=model.hash,
        search_hash=model.dataset.search.hash,
        report_hash=model.dataset.report.hash,
        status=RunStatus.QUEUED,
        created_at=timestamp(),
    )


class Execution:
    """One run from its start; `advance` drives it and the store holds every step, and how far it is a moment ago."""

    def __init__(
        self,
        library: Library,
        run: Run,
        machines: Machines,
    ) -> None:
        self.library, self._machines = library, machines
        fresh = replace(run, steps=(), policy=None, evaluations=0, evaluations_new=0, finished_at=None)
        self.run = self._written = replace(fresh, message="", traceback="")
        self._resumed_at = self._checked = time.monotonic()
        self._spent_s = 0.0
        self._has_start = False

    def _memo(self, images: ImageSet, checkpoint: Callable[[], None]) -> Memo:
        request = self.run.request
        library = self.library if request.use_bundled else self.library.without_bundled()
        return Memo(
            metric=self.model.metric,
            key_of=lambda policy: library.key(self.model, images.split, policy, request.quantizer),
            labels=self.model.dataset.split(images.split).labels,
            images=images,
            store=library,
            make_evaluator=lambda: self._machines.evaluator(self.model, images, request.quantizer),
            checkpoint=checkpoint,
        )

    def _checkpoint(self) -> None:
        """Writes what was asked for since, and raises where somebody cancelled, or minutes are spent."""
        now = time.monotonic()
        if now - self._checked >= HEARTBEAT_S:
            self._checked = now
            if self.library.store.is_cancel_requested(self.run.id):
                raise Cancelled("cancelled; everything evaluated so far is kept, resume goes on from there")
            if self.run is not self._written:
                self._save()
        minutes = self.run.request.max_minutes
        # Not before FP32 and the start are known: without them there is no best so far to end with.
        if minutes is not None and self._has_start and self._seconds() > 60 * minutes:
            raise _BudgetSpentError(f"stopped at its budget of {minutes:g} minutes with the best so far")

    def _seconds(self) -> float:
        """Seconds spent on this run, those in which others had their turn left out."""
        return self._spent_s + time.monotonic() - self._resumed_at

    def advance(self) -> Iterator[None]:
        """Runs to the end and yields after each step, so that the runs of a sweep can take turns.

        In the end the stored run is done, or cancelled or failed with the reason in `message`: no error of a run
        reaches the others of its sweep, or the worker.
        """
        self._resumed_at = time.monotonic()
        try:
            self._begin()
            # The others of a sweep begin too before the first of them takes a step.
            yield from self._turn()
            message = yield from self._search()
            self._report()
            fine_tuning.note(self.library, self.run)
            message = "; ".join([*filter(None, [message]), *self._machines.notes()])
            self._save(status=RunStatus.DONE, message=message, finished_at=timestamp())
        except Exception as error:
            self._end(error)

    def _begin(self) -> None:
        self.library.store.clear_steps(self.run.id)
        self._save(status=RunStatus.RUNNING, origin=self._machines.origin(None))
        self.model = self.library.model(self.run.request.model)
        workers = self._machines.workers(self.model, self._say)
        if workers is None:
            self.run = replace(self.run, origin=self._machines.origin(self.model))
        else:
            self._save(origin=workers, message="")
        self.profile = self.model.profile
        trained = fine_tuning.trained(self.model, self.run.request, self._say)
        if trained != self.run.request:
            self._save(request=trained, message="")
        request = self.run.request
        self.memo = self._memo(ImageSet(SplitName.SEARCH, request.chooses_on), self._checkpoint)
        self.confirming: Memo | None = None
        if request.choose_images is not None:
            rest = ImageSet(SplitName.SEARCH, request.images, request.choose_images)
            self.confirming = self._memo(rest, self._checkpoint)

    def _say(self, message: str) -> None:
        """Lets who watches know, at the next heartbeat."""
        self.run = replace(self.run, message=message)
        self._checkpoint()

    def _end(self, error: Exception) -> None:
        """Keeps why a run ended: the reason alone where it can be mended, else the traceback too."""
        message, kept = str(error), ""
        if not isinstance(error, AiqError):
            kept = "".join(traceback.format_exception(error))
            # In backticks, pages and the command line show it as it is.
            said = "".join(traceback.format_exception_only(error)).replace("`", "'")
            message = (
                f"an error that nobody foresaw, `{textwrap.shorten(said, MOST_SAID, placeholder=' …')}`; everything "
                f"evaluated so far is kept, resume tries again. `python -m aiq_core show {self.run.id} --json` prints "
                "its traceback: please report it"
            )
        status = RunStatus.CANCELLED if isinstance(error, Cancelled) else RunStatus.FAILED
        try:
            self._save(status=status, message=message, traceback=kept, finished_at=timestamp())
        except Exception:
            # Where the store cannot be written, worker.log is left; the run is found interrupted.
            _log.exception("run %s ended, and the store cannot say so", self.run.id)

    def _turn(self) -> Iterator[None]:
        """Lets others have their turn."""
        self._spent_s = self._seconds()
        yield
        self._resumed_at = time.monotonic()

    def _search(self) -> Generator[None, None, str]:
        """The strategy's steps, each stored as it comes; text where something is worth saying of the result."""
        problem = self._problem()
        self._has_start = True
        asked_before, computed_before = self.memo.asked, self.memo.computed

        def ask(policy: Policy, needs: Score | None, base: Policy) -> Score | None:
            most = self.run.request.max_evaluations
            if most is not None and self.memo.asked - asked_before >= most:
                raise _BudgetSpentError(f"stopped at its budget of {most} evaluations with the best so far")
            answer = self.memo.ask(policy, needs, base)
            asked, computed = self.memo.asked - asked_before, self.memo.computed - computed_before
            self.run = replace(self.run, evaluations=asked, evaluations_new=computed)
            return answer

        request = self.run.request
        message = ""
        try:
            search = strategy(request.algorithm).steps or strategy(request.algorithm).front
            steps = search(problem, ask) if search else listed(problem, request.policies, ask)
            # A front is no one policy, nor is a list.
            chooses = strategy(request.algorithm).searches or len(request.policies) == 1
            for step in steps:
                self._confirm(step.policy)
                self._save([step], policy=step.policy if chooses else None)
                yield from self._turn()
        except _BudgetSpentError as error:
            message = str(error)
        others = self._other_processors()
        if others:
            message = f"{message} what was known already was measured on {others}".strip()
        disagreements = self.memo.disagreements + (self.confirming.disagreements if self.confirming else 0)
        if disagreements:
            message = f"{message} {disagreements} predictions differ from stored ones, which stand".strip()
        otherwise = self.memo.rounded_otherwise + (self.confirming.rounded_otherwise if self.confirming else 0)
        if otherwise:
            message += (
                f" {otherwise} policies are rounded to other integers here than where stored predictions are from"
            )
            message = message.strip()
        return message

    def _other_processors(self) -> str:
        """What else than this run's processor measured, for this store, predictions that answered."""
        memos = [self.memo, *filter(None, [self.confirming])]
        measured = {cpu for memo in memos for source, cpu in memo.known_from if source == MEASURED}
        return ", ".join(sorted(measured - {self.run.origin.cpu if self.run.origin else ""}))

    def _confirm(self, policy: Policy) -> None:
        """Completes a policy on the images that nothing was chosen on, where the run keeps some apart."""
        if self.confirming is not None:
            self.confirming.ask(policy, None, self.profile.uniform(32))

    def _problem(self) -> Problem:
        """The request with everything it left open resolved; evaluates FP32 and the start."""
        request, profile = self.run.request, self.profile
        fp32, start, images = profile.uniform(32), request.start_policy(profile), request.chooses_on
        baseline = self.memo.ask(fp32, None, fp32) or 0
        metric = self.model.metric
        floor = objective.floor_score(metric, request.floor_percent, baseline, images)
        start_score = baseline if start == fp32 else self.memo.ask(start, None, fp32) or 0
        searches = strategy(request.algorithm).searches
        if searches and start_score < floor:
            raise InfeasibleError(
                f"the start and fixed layers alone reach {start_score:,} of {images:,} search images, below the floor "
                f"of {floor:,}; lower the floor to {100 * start_score / images:.2f} %, start wider or fix fewer layers"
            )
        for policy in (fp32, start):
            self._confirm(policy)
        counted = request.traffic, request.quantizer
        normaliser = request.intensity_normaliser or objective.default_normaliser(
            profile, request.widths, *counted, activation_widths=request.activation_widths
        )
        self._save(
            intensity_normaliser=normaliser,
            floor_score=floor,
            baseline_score=baseline,
            policy=start if searches else None,
        )
        return Problem(
            profile=profile,
            objective=Objective(
                metric=metric,
                # Lists of policies have no alpha of their own; their steps carry the loss at 0, the accuracy's share.
                alpha=request.alpha or 0.0,
                intensity_normaliser=normaliser,
                accuracy_normaliser=request.accuracy_normaliser,
                images=images,
                baseline_score=baseline,
                floor_score=floor,
            ),
            widths=tuple(sorted(request.widths, reverse=True)),
            movable=request.movable(profile),
            start=start,
            start_score=start_score,
            activation_widths=tuple(sorted(request.activation_widths, reverse=True)),
            traffic=request.traffic,
            quantizer=request.quantizer,
            costs=self._costs(),
            points=request.points or 0,
            budgets=parse_budgets(request.within),
            machines=self.library.machines,
            refinement=request.refinement,
            seed=request.seed or 0,
            expect=self._expect,
            table=None if request.table is None else self.library.kernel_table(request.table),
        )

    def _expect(self, coming: Iterable[Question]) -> None:
        """What is asked for in full is confirmed too."""
        chooses, confirms = tee(coming)
        self.memo.expect(chooses)
        if self.confirming is not None:
            self.confirming.expect(question for question in confirms if question.needs is None)

    def _costs(self) -> Sensitivity | None:
        """What widths cost by themselves, where the strategy asks."""
        if not strategy(self.run.request.algorithm).uses_costs:
            return None
        found = self._machines.costs(self.model, self.run.request, self._say)
        self.run = replace(self.run, message="")
        return found

    def _report(self) -> None:
        """FP32 and what was chosen on the report images, once."""
        request = self.run.request
        chosen = request.policies or ((self.run.policy,) if self.run.policy else ())
        judges = ImageSet(SplitName.REPORT, self.model.dataset.available(SplitName.REPORT))
        memo = self._memo(judges, self._checkpoint_cancel)
        fp32 = self.profile.uniform(32)
        memo.expect(Question(policy, None, fp32) for policy in chosen)
        for policy in (fp32, *chosen):
            memo.ask(policy, None, fp32)

    def _checkpoint_cancel(self) -> None:
        if self.library.store.is_cancel_requested(self.run.id):
            raise Cancelled("cancelled before its report figures; resume measures them")

    def _save(self, steps: list[Step] | None = None, **changes: object) -> None:
        self.run = replace(self.run, seconds=self._seconds(), **changes)  # type: ignore[arg-type]
        self.library.store.save_run(self.run, steps or ())
        self._written = self.run


def execute(library: Library, run: Run, evaluators: Evaluators) -> Run:
    """Runs one stored run in this process, from the start: what is known comes back from the memo at once."""
    return execute_together(library, [run], evaluators)[0]


def execute_together(library: Library, runs: Sequence[Run], evaluators: Evaluators) -> list[Run]:
    """Runs the runs of a sweep step by step in turn: equal policies come up together and share their activations."""
    where = (runs[0].request.cluster, runs[0].request.device) if runs else (None, None)
    with on(where[0], evaluators, where[1]) as machines:
        turns = [Execution(library, run, machines).advance() for run in runs]
        while turns:
            turns = [turn for turn in turns if next(turn, _ENDED) is not _ENDED]
    return [library.store.run(run.id) for run in runs]


_ENDED = object()
