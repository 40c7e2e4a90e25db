"""Twenty people at once while a search runs: `PYTHONPATH=. python benchmarks/sessions.py`.

Each session is a websocket client that speaks Streamlit's own protocol, so that what is measured is the server and not
twenty browsers: it opens a page, then moves alpha every five seconds, and the latency is from the key to the end of
the script that answers it. A quarter of the sessions watch the search live, which also reruns every second.
"""

import argparse
import asyncio
import os
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import streamlit
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect

from aiq_core import jobs
from aiq_core.library import Library
from aiq_core.records import Request, RunStatus
from aiq_core.store import Store
from benchmarks._common import machine
from benchmarks._server import APP, server

SEARCH = Request("resnet20", "coordinate", 0.9, images=2000, use_bundled=False)
"""Minutes of evaluations on the images that ship with the app."""

ANSWER_S = 60.0
WARM_UP = 1
"""Interactions of each session that do not count."""


@contextmanager
def search(data_dir: Path) -> Iterator[Library]:
    """A search that runs meanwhile; what it did is in the store when the block ends."""
    library = Library(Store(data_dir / "store.sqlite"), None)
    run = jobs.submit(library, SEARCH)
    while library.store.run(run.id).evaluations_new < 1:
        if library.store.run(run.id).status not in jobs.UNFINISHED:
            raise RuntimeError(f"the search is {library.store.run(run.id).status}: {library.store.run(run.id).message}")
        time.sleep(0.1)
    try:
        yield library
    finally:
        jobs.cancel(library, run.id)
        end = time.monotonic() + 30
        while library.store.run(run.id).status is RunStatus.RUNNING and time.monotonic() < end:
            time.sleep(0.1)


@dataclass
class Session:
    """One reader: its page, what it waited for, and what went wrong."""

    url: str
    page: str
    alpha: float
    opened_s: float = 0.0
    waited_s: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    reruns: int = 0
    _slider: str = ""
    _finished: asyncio.Event = field(default_factory=asyncio.Event)
    _timers: dict[str, "asyncio.Task[None]"] = field(default_factory=dict)

    async def live(self, interactions: int, every_s: float, first_s: float) -> None:
        """Opens the page after a while, then interacts."""
        await asyncio.sleep(first_s)
        address = f"{self.url.replace('http', 'ws', 1)}/_stcore/stream"
        async with connect(address, subprotocols=["streamlit"], max_size=None) as socket_:  # type: ignore[list-item]
            reader = asyncio.create_task(self._read(socket_))
            self.opened_s = await self._timed(socket_)
            for _ in range(interactions):
                await asyncio.sleep(every_s - min(every_s, (self.waited_s or [0.0])[-1]))
                self.alpha = round(self.alpha + 0.01 if self.alpha < 0.99 else 0.5, 2)
                self.waited_s.append(await self._timed(socket_))
            for task in (reader, *self._timers.values()):
                task.cancel()

    async def _timed(self, connection: ClientConnection) -> float:
        """Seconds from asking for a run of the script to its end."""
        self._finished.clear()
        began = time.perf_counter()
        await self._ask(connection)
        try:
            await asyncio.wait_for(self._finished.wait(), ANSWER_S)
        except TimeoutError:
            self.errors.append(f"no answer within {ANSWER_S:.0f} s")
        return time.perf_counter() - began

    async def _ask(self, connection: ClientConnection, fragment: str = "") -> None:
        message = BackMsg()
        state = message.rerun_script
        state.page_name = self.page
        state.fragment_id = fragment
        state.is_auto_rerun = bool(fragment)
        if self._slider:
            state.widget_states.widgets.append(
                WidgetState(id=self._slider, double_array_value={"data": [self.alpha]})  # type: ignore[arg-type]
            )
        await connection.send(message.SerializeToString())

    async def _read(self, connection: ClientConnection) -> None:
        async for content in connection:
            message = ForwardMsg()
            message.ParseFromString(content if isinstance(content, bytes) else content.encode())
            kind = message.WhichOneof("type")
            if kind == "delta":
                self._note(message)
            elif kind == "script_finished" and message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY:
                self._finished.set()
            elif kind == "auto_rerun":
                self._rerun_every(connection, message.auto_rerun.fragment_id, message.auto_rerun.interval)
            elif kind == "stop_auto_rerun":
                self._stop(message.stop_auto_rerun.fragment_id)
            elif kind == "page_not_found":
                self.errors.append(f"no page {self.page!r}")

    def _note(self, message: ForwardMsg) -> None:
        element = message.delta.new_element
        kind = element.WhichOneof("type")
        if kind == "slider" and element.slider.label.startswith("Alpha"):
            self._slider = element.slider.id
        elif kind == "exception":
            self.errors.append(f"{element.exception.type}: {element.exception.message[:200]}")

    def _rerun_every(self, connection: ClientConnection, fragment: str, interval_s: float) -> None:
        """A fragment that reruns by itself, as the browser would make it."""
        self._stop(fragment)

        async def tick() -> None:
            while True:
                await asyncio.sleep(interval_s)
                self.reruns += 1
                await self._ask(connection, fragment)

        self._timers[fragment] = asyncio.create_task(tick())

    def _stop(self, fragment: str) -> None:
        if fragment in self._timers:
            self._timers.pop(fragment).cancel()


async def everybody(url: str, sessions: int, interactions: int, every_s: float) -> list[Session]:
    """All sessions at once, their clocks spread over the interval."""
    chance = random.Random(0)
    readers = [
        Session(url, "search" if number % 4 == 3 else "", round(chance.uniform(0.5, 0.98), 2))
        for number in range(sessions)
    ]
    async with asyncio.TaskGroup() as group:
        for number, reader in enumerate(readers):
            group.create_task(reader.live(interactions, every_s, every_s * number / sessions))
    return readers


def percentile(values: list[float], share: float) -> float:
    """The value that this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]


def line(name: str, values: list[float]) -> str:
    """Median and 95th percentile."""
    return (
        f"{name}: {len(values)} interactions, median {statistics.median(values):.2f} s, "
        f"95th percentile {percentile(values, 0.95):.2f} s, longest {max(values):.2f} s"
    )


def print_results(title: str, readers: list[Session]) -> int:
    """What the sessions saw; how many errors."""
    errors = [error for reader in readers for error in reader.errors]
    print(f"\n{title}: opening a page took {statistics.median(r.opened_s for r in readers):.2f} s (median)")
    for page, name in (("", "Explore"), ("search", "Search, watching live")):
        waited = [second for reader in readers if reader.page == page for second in reader.waited_s[WARM_UP:]]
        if waited:
            print("  " + line(name, waited))
    print("  " + line("all", [second for reader in readers for second in reader.waited_s[WARM_UP:]]))
    print(f"  {sum(reader.reruns for reader in readers)} live reruns; {len(errors)} errors", flush=True)
    for error in sorted(set(errors)):
        print(f"    {error}")
    return len(errors)


def main() -> int:
    """The sessions without and with a search; 1 where anything went wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sessions", type=int, default=20)
    parser.add_argument("--interactions", type=int, default=9, help="of each session, after opening")
    parser.add_argument("--every", type=float, default=5.0, help="seconds between a session's interactions")
    options = parser.parse_args()
    print(machine(os.cpu_count() or 1))
    print(f"Streamlit {streamlit.__version__}; {options.sessions} sessions, one interaction each {options.every:g} s")
    with tempfile.TemporaryDirectory(prefix="aiq-sessions-", ignore_cleanup_errors=True) as folder:
        data_dir = Path(folder)
        with server(APP, data_dir) as url:
            shape = (options.sessions, options.interactions, options.every)
            idle = asyncio.run(everybody(url, *shape))
            wrong = print_results("without a search", idle)
            with search(data_dir) as library:
                before = library.store.run(SEARCH.digest).evaluations_new
                began = time.monotonic()
                busy = asyncio.run(everybody(url, *shape))
                done = library.store.run(SEARCH.digest).evaluations_new - before
                wrong += print_results("while a search runs", busy)
                print(f"  the search: {done} evaluations meanwhile, {done / (time.monotonic() - began):.2f} a second")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
