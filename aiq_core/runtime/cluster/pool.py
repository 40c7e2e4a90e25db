"""The workers of a run: which may compute, what each is asked, and what becomes of that where one ends or is slow."""

import pickle
import queue
import statistics
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import uuid4

from distributed import Client
from distributed.client import ClosedClientError

from aiq_core.catalog import Model
from aiq_core.errors import AiqError, ClusterError
from aiq_core.records import Origin
from aiq_core.runtime.chunk import chunk_of
from aiq_core.runtime.cluster import remote
from aiq_core.runtime.cluster.tasks import Answer, Facts, Lacking, Part, Task, facts
from aiq_core.runtime.evaluate import current_origin

SLOTS = 2
"""Tasks at a worker: one that it computes, and one that waits there meanwhile."""

CONNECT_S, TURN_S, LOOK_S = 10.0, 0.2, 0.5
"""Seconds to reach the scheduler, that a turn waits for an answer, and between looks at who is there."""

INTRODUCE_S = 30.0
"""How long a run waits for a worker to say who it is, before it begins without."""

PATIENCE_S = 60.0
"""How long a run without any worker waits for one."""

FIRST_DEADLINE_S, LEAST_DEADLINE_S, SLOWER = 60.0, 10.0, 10
"""A task is asked of another worker too after `SLOWER` times what tasks take; of a worker's first nobody knows that."""

MOST_LOST = 3
"""Workers that may end, or fail, with the same task."""


class Source(Protocol):
    """Who has tasks: an evaluator."""

    def next_task(self, slots: int) -> Task | None:
        """The task that is worth most now, where workers take so many at once; None where there is none."""

    def parts(self, hashes: set[str]) -> Mapping[str, Part]:
        """What goes by these hashes."""

    def take(self, task: Task, answers: Sequence[Answer]) -> None:
        """Takes a task's answers; they may come twice."""

    def lost(self, task: Task) -> None:
        """Hears that a task has to be asked again."""


@dataclass(eq=False)
class _Member:
    """A worker that may compute."""

    address: str
    holds: set[str] = field(default_factory=set)
    flights: set["_Flight"] = field(default_factory=set)
    has_answered: bool = False


@dataclass(eq=False)
class _Flight:
    """A task at a worker."""

    source: Source
    task: Task
    member: _Member
    since: float
    is_overdue: bool = False


class _Call:
    """Unpickled, it is what a function makes of its arguments: schedulers unpickle tasks, and need no code of ours."""

    def __init__(self, call: Callable[..., object], args: tuple[object, ...]) -> None:
        self._call, self._args = call, args

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return self._call, self._args


class Pool:
    """Workers that hold the same model, data and versions, and are of one origin; `notes` says who was refused or lost.

    Tests set its times. Raises ClusterError where the scheduler cannot be reached.
    """

    def __init__(self, address: str, patience_s: float = PATIENCE_S, deadline_s: float = LEAST_DEADLINE_S) -> None:
        self.address, self._patience_s, self._deadline_s = address, patience_s, deadline_s
        try:
            self._client = Client(address, timeout=CONNECT_S, set_as_default=False)  # type: ignore[no-untyped-call]
        except (OSError, TimeoutError, ValueError) as error:
            raise ClusterError(
                f"no scheduler answers at {address} ({error}); start one with `dask scheduler`, or give its address"
            ) from None
        self.origin: Origin | None = None
        self.sources: list[Source] = []
        self.notes: list[str] = []
        self._names: dict[str, str] = {}
        self._asked: dict[str, float] = {}
        """When workers were asked who they are; those that answered well are in `_met`, the others in `_refused`."""
        self._met: dict[str, Facts] = {}
        self._refused: set[str] = set()
        self._crew: dict[str, _Member] = {}
        self._arrived: queue.SimpleQueue[tuple[_Flight | str, Any]] = queue.SimpleQueue()
        self._seconds: deque[float] = deque(maxlen=50)
        self._lost: Counter[tuple[str, int, object]] = Counter()
        self._looked = 0.0
        self._manned = time.monotonic()

    def close(self) -> None:
        """Leaves the scheduler; what was not answered is forgotten there."""
        self._client.close()  # type: ignore[no-untyped-call]

    # Who may compute

    def meet(self, model: Model) -> Iterator[None]:
        """Asks the workers who they are, and yields until it is known which may compute: those of the commonest origin.

        Raises ClusterError where there is none in time.
        """
        self._model, self._wanted = model.name, facts(model, current_origin(chunk=chunk_of(model.profile)))
        while not self._met or self._unknown:
            self.turn()
            yield
        kinds = Counter(_kind(each.origin) for each in self._met.values())
        own = _kind(self._wanted.origin)
        most = max(kinds, key=lambda kind: (kinds[kind], kind == own, kind))
        self.origin = next(each.origin for each in self._met.values() if _kind(each.origin) == most)
        for address in list(self._met):
            self._admit(address)

    @property
    def _unknown(self) -> bool:
        """Whether a worker has yet to say who it is, and may do so soon."""
        soon = time.monotonic() - INTRODUCE_S
        return any(at > soon and who not in self._met and who not in self._refused for who, at in self._asked.items())

    def _hear(self, address: str, said: Facts | BaseException) -> None:
        """What a worker says of itself."""
        if address not in self._names:
            return
        if not isinstance(said, Facts):
            return self._refuse(address, f"it does not hold {self._model} ({said})")
        difference = said.difference(self._wanted)
        if difference is not None:
            return self._refuse(address, difference)
        self._met[address] = said
        if self.origin is not None:
            self._admit(address)

    def _admit(self, address: str) -> None:
        """Lets a worker compute, if it is of the run's origin."""
        assert self.origin is not None  # it is known since `meet`
        theirs, ours = _kind(self._met[address].origin), _kind(self.origin)
        for name, its, run in zip(_KIND, theirs, ours, strict=True):
            if its != run:
                return self._refuse(address, f"its {name} is {its}, this run's is {run}")
        self._crew[address] = _Member(address)

    def _refuse(self, address: str, why: str) -> None:
        self.notes.append(f"worker {self._names[address]} was refused: {why}")
        self._dismiss(address)
        self._refused.add(address)

    def _dismiss(self, address: str) -> None:
        """Asks others what a worker was asked."""
        self._met.pop(address, None)
        member = self._crew.pop(address, None)
        for flight in member.flights if member else ():
            flight.source.lost(flight.task)

    def _look(self) -> None:
        """Sees who came, who is gone, and what takes too long. Raises ClusterError where nobody is left."""
        known = self._client.scheduler_info().get("workers", {})
        self._looked = now = time.monotonic()
        if self._client.status != "running":
            return  # the scheduler is away, and may come back
        there = {address: str(each["name"]) for address, each in known.items()}
        for address in set(self._names) - set(there):
            if address in self._crew:
                self.notes.append(f"worker {self._names[address]} is gone, and others were asked instead")
                for flight in self._crew[address].flights:
                    self._count_lost(flight.task, f"{self._names[address]} ended")
            self._dismiss(address)
            self._refused.discard(address)
            del self._names[address], self._asked[address]
        for address in sorted(set(there) - set(self._names)):
            self._names[address], self._asked[address] = there[address], now
            self._send(address, address, remote.introduce, self._model)
        limit = max(self._deadline_s, SLOWER * statistics.median(self._seconds)) if self._seconds else FIRST_DEADLINE_S
        for flight in [flight for member in self._crew.values() for flight in member.flights]:
            most = limit if flight.member.has_answered else max(limit, FIRST_DEADLINE_S)
            if not flight.is_overdue and now - flight.since > most:
                flight.is_overdue = True
                flight.source.lost(flight.task)
        if self._crew or self._unknown or (self.origin is None and self._met):
            self._manned = now
        elif now - self._manned > self._patience_s:
            told = "".join(f"; {note}" for note in self.notes)
            raise ClusterError(
                f"no worker at {self.address} may compute{told}; start one with `python -m aiq_core worker "
                f"{self.address}`. {_KEPT.capitalize()}"
            )

    # What each is asked

    def turn(self, asking: Source | None = None) -> None:
        """Gives out tasks, those of who is asking first, and waits a moment for an answer.

        Raises ClusterError where nobody is left to ask.
        """
        if self._client.status == "closed":
            raise ClusterError(f"the scheduler at {self.address} is gone; {_KEPT}")
        with suppress(ClosedClientError):  # the next turn says so
            self._fill(asking)
            with suppress(queue.Empty):
                self._land(*self._arrived.get(timeout=TURN_S))
                while True:
                    self._land(*self._arrived.get_nowait())
            if time.monotonic() - self._looked > LOOK_S:
                self._look()
            self._fill(asking)

    def _fill(self, asking: Source | None) -> None:
        sources = sorted(self.sources, key=lambda source: source is not asking)
        for held in range(SLOTS):
            for member in list(self._crew.values()):
                if len(member.flights) > held:
                    continue
                given = ((source, source.next_task(SLOTS * len(self._crew))) for source in sources)
                source, task = next(((source, task) for source, task in given if task is not None), (None, None))
                if source is None or task is None:
                    return
                self._start(_Flight(source, task, member, time.monotonic()))

    def _start(self, flight: _Flight) -> None:
        member = flight.member
        lacking = flight.task.needs - member.holds
        member.flights.add(flight)
        member.holds |= lacking
        self._send(flight, member.address, remote.answer, flight.task, flight.source.parts(lacking))

    def _send(self, what: _Flight | str, address: str, call: Callable[..., object], *args: object) -> None:
        """Has a worker, and no other, call a function."""
        packed = pickle.dumps(_Call(call, args))
        future = self._client.submit(pickle.loads, packed, key=f"aiq-{uuid4().hex}", workers=[address], pure=False)

        async def collect() -> None:
            said: Any
            try:
                said = await future
            except Exception as error:  # whatever it is, a worker could not answer
                said = error
            self._arrived.put((what, said))

        loop = self._client.loop
        assert loop is not None  # a client that is connected has one
        loop.add_callback(collect)

    def _land(self, what: _Flight | str, said: Any) -> None:
        """An answer came."""
        if isinstance(what, str):
            return self._hear(what, said)
        member = what.member
        member.flights.discard(what)
        if isinstance(said, list):
            if member.has_answered:
                self._seconds.append(time.monotonic() - what.since)
            member.has_answered = True
            what.source.take(what.task, said)
        elif member.address not in self._crew:
            return  # others were asked already
        elif isinstance(said, Lacking):
            member.holds -= said.hashes
            self._start(what)
        else:
            what.source.lost(what.task)
            if isinstance(said, AiqError):
                self._refuse(member.address, str(said))
            elif self._client.status == "running":  # or it is the scheduler that is away
                self._count_lost(what.task, f"{self._names[member.address]} failed with {said!r}")

    def _count_lost(self, task: Task, how: str) -> None:
        """Raises ClusterError where a task has ended several workers: it is not they who are to blame."""
        what = task.job, task.index, task.policies
        self._lost[what] += 1
        if self._lost[what] >= MOST_LOST:
            raise ClusterError(f"{self._lost[what]} workers were lost with the same images, at last {how}; {_KEPT}")


_KIND = ("CPU", "torch", "number of threads", "chunk")


def _kind(origin: Origin) -> tuple[str, str, int, int]:
    return origin.cpu, origin.torch, origin.threads, origin.chunk


_KEPT = "what was evaluated is kept, resume goes on from there"
