"""A Streamlit server in a process of its own, as benchmarks and screenshots visit it."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from socket import socket

ROOT = Path(__file__).resolve().parent.parent
APP = ROOT / "app.py"
START_S = 60.0


@contextmanager
def server(script: Path, data_dir: Path) -> Iterator[str]:
    """Serves a script with a store of its own; yields its address. Raises RuntimeError where it does not answer."""
    with closing(socket()) as probe:
        probe.bind(("localhost", 0))
        port = probe.getsockname()[1]
    # The app starts Streamlit itself, so that the first visitor may come by a link to a sub-page.
    start = [sys.executable, str(script)] if script == APP else [sys.executable, "-m", "streamlit", "run", str(script)]
    process = subprocess.Popen(
        [*start, "--server.port", str(port), "--server.headless", "true", "--server.fileWatcherType", "none"],
        cwd=ROOT,
        env={**os.environ, "AIQ_DATA_DIR": str(data_dir)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_for(f"http://localhost:{port}/_stcore/health")
        yield f"http://localhost:{port}"
    finally:
        process.terminate()
        process.wait(10)


def _wait_for(url: str) -> None:
    end = time.monotonic() + START_S
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    raise RuntimeError(f"the server did not answer at {url} within {START_S:.0f} s")
