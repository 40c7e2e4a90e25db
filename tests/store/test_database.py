"""Files that are created, judged, refused, locked and killed."""

import hashlib
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from aiq_core.errors import StoreError
from aiq_core.records import Run
from aiq_core.store import Store, codec, database
from aiq_core.store.schema import APPLICATION_ID, MIGRATIONS

ROOT = Path(__file__).resolve().parent.parent.parent
APPLICATION_ID_AT = 68  # https://www.sqlite.org/fileformat.html, section 1.3

# Dies before its statement number argv[2], as a kill would have it: nothing is closed, nothing is rolled back.
# Forks a child a statement, until one gets through alive; prints how many died.
KILLED_WHILE_CREATING = """
import os, sqlite3, sys
from pathlib import Path
from aiq_core.store import Store, codec

connect, folder = sqlite3.connect, Path(sys.argv[1])
for deadly in range(1, 100):
    child = os.fork()
    if child == 0:
        seen = 0
        def count(statement):
            global seen
            seen += 1
            if seen == deadly:
                os._exit(9)
        def traced(*args, **kwargs):
            connection = connect(*args, **kwargs)
            connection.set_trace_callback(count)
            return connection
        sqlite3.connect = traced
        Store(folder / f"{deadly}.sqlite")
        os._exit(0)
    if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0:
        print(deadly - 1)
        break
"""


def run(program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def database_with(path: Path, application_id: int, version: int = 1, wal: bool = False) -> Path:
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA application_id={application_id}")
    if wal:
        connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE theirs (something)")
    connection.execute(f"PRAGMA user_version={version}")
    connection.commit()
    connection.close()
    return path


# Creating.


def test_a_new_store_is_marked_ours_and_safe(tmp_path: Path) -> None:
    store = Store(tmp_path / "deep" / "folder" / "store.sqlite")
    header = store.path.read_bytes()[:100]
    assert int.from_bytes(header[APPLICATION_ID_AT : APPLICATION_ID_AT + 4], "big") == APPLICATION_ID
    with store.reading() as db:
        assert db.execute("PRAGMA user_version").fetchone()[0] == len(MIGRATIONS)
        assert db.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        assert db.execute("PRAGMA synchronous").fetchone()[0] == 2  # FULL: what was reported done survives a crash


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills forked children")
def test_killed_at_any_statement_of_its_creation_a_store_is_still_ours(tmp_path: Path) -> None:
    finished = run(KILLED_WHILE_CREATING, tmp_path)
    assert finished.returncode == 0, finished.stderr
    killed = int(finished.stdout)
    assert killed >= 8  # application_id, journal_mode, BEGIN, three tables, user_version, COMMIT at least
    for deadly in range(1, killed + 1):
        store = Store(tmp_path / f"{deadly}.sqlite")
        assert store.runs() == [] and store.evaluations() == []
        assert store.path.read_bytes()[APPLICATION_ID_AT : APPLICATION_ID_AT + 4] == b"AIQE"
        store.close()


def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    path.touch()
    assert Store(path).runs() == []


def test_opening_again_changes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    Store(path).close()
    before = digest(path)
    Store(path).close()
    assert digest(path) == before


# Refusing.


def not_sqlite(path: Path) -> None:
    path.write_text("dear diary, " * 100)


def short(path: Path) -> None:
    path.write_bytes(b"SQLite format 3\x00")


def nameless(path: Path) -> None:
    database_with(path, application_id=0)


def somebody_elses(path: Path) -> None:
    database_with(path, application_id=0x0F055112, wal=True)  # Fossil's


def newer(path: Path) -> None:
    database_with(path, APPLICATION_ID, version=len(MIGRATIONS) + 1, wal=True)


def damaged(path: Path) -> None:
    Store(path).close()
    content = bytearray(path.read_bytes())
    content[100:] = os.urandom(len(content) - 100)
    path.write_bytes(content)


def truncated(path: Path) -> None:
    Store(path).close()
    path.write_bytes(path.read_bytes()[:2000])


REFUSED = [
    (not_sqlite, "is not a SQLite file and was left untouched; move it away or set AIQ_DATA_DIR"),
    (short, "is not a SQLite file"),
    (nameless, r"belongs to another application \(id 0x0, ours is 0x41495145\) and was left untouched"),
    (somebody_elses, r"belongs to another application \(id 0xf055112"),
    (newer, "has version 5, newer than the 4 known here, and was left untouched; update AIQ Explorer"),
    (damaged, "store.sqlite"),
    (truncated, "store.sqlite"),
]


@pytest.mark.parametrize(("make", "message"), REFUSED, ids=[make.__name__ for make, _ in REFUSED])
@pytest.mark.parametrize("immutable", [False, True])
def test_a_file_that_is_not_ours_is_refused_and_untouched(
    tmp_path: Path, make: object, message: str, immutable: bool
) -> None:
    path = tmp_path / "store.sqlite"
    make(path)  # type: ignore[operator]
    before, beside = digest(path), sorted(tmp_path.iterdir())
    with pytest.raises(StoreError, match=message):
        Store(path, immutable=immutable).runs()
    assert digest(path) == before
    assert sorted(tmp_path.iterdir()) == beside


def test_a_newer_version_that_only_the_log_holds_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    Store(path).close()
    newer_app = sqlite3.connect(path)
    newer_app.execute("PRAGMA wal_autocheckpoint=0")
    newer_app.execute(f"PRAGMA user_version={len(MIGRATIONS) + 1}")
    newer_app.commit()
    before = digest(path)
    with pytest.raises(StoreError, match="newer than the 4 known here"):
        Store(path)
    assert digest(path) == before
    newer_app.close()


def test_a_folder_in_place_of_the_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "store.sqlite").mkdir()
    with pytest.raises(StoreError, match="store.sqlite cannot be read"):
        Store(tmp_path / "store.sqlite")


def test_a_parent_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="file cannot be created.*set AIQ_DATA_DIR"):
        Store(tmp_path / "file" / "store.sqlite")


OPEN = """
import os, sys
from pathlib import Path
from aiq_core.errors import StoreError
from aiq_core.records import Run
from aiq_core.store import Store, codec
if os.geteuid() == 0:  # permissions do not bind root, so it becomes nobody
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
try:
    store = Store(Path(sys.argv[1]))
    store.set_archived("x", True)
except StoreError as error:
    print(error)
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder outside pytest's own, which only its owner may enter."""
    folder = Path(tempfile.mkdtemp(prefix="aiq-readonly-"))
    yield folder
    folder.chmod(0o700)
    shutil.rmtree(folder)


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="POSIX permissions")
@pytest.mark.parametrize("exists", [False, True])
def test_a_read_only_folder_is_named(open_folder: Path, exists: bool) -> None:
    path = open_folder / "store.sqlite"
    if exists:
        Store(path).close()
        path.chmod(0o444)
    open_folder.chmod(0o555)
    finished = run(OPEN, path)
    assert finished.stderr == ""
    assert str(path) in finished.stdout and "its folder cannot be written; change its permissions" in finished.stdout
    assert len(finished.stdout.splitlines()) == 1


# Locks.


def test_a_locked_store_says_so_after_its_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "store.sqlite"
    Store(path).close()
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr(database, "LOCK_WAIT_S", 0.2)
    store = Store(path)
    assert store.runs() == []  # readers do not wait
    with pytest.raises(StoreError, match="locked; another process has held it.*close that process"):
        store.set_archived("x", True)
    holder.execute("ROLLBACK")
    store.set_archived("x", True)
    holder.close()


def test_an_error_inside_a_transaction_takes_all_of_it_back(tmp_path: Path) -> None:
    store = Store(tmp_path / "store.sqlite")
    with store.reading() as db:
        with pytest.raises(sqlite3.IntegrityError), database.transaction(db):
            db.executemany("INSERT INTO steps VALUES ('x', ?, x'00')", [(1,)])  # no such run: the foreign key holds
        assert not db.in_transaction
        assert db.execute("SELECT count(*) FROM steps").fetchone() == (0,)


def test_writing_to_an_immutable_store_is_refused(tmp_path: Path) -> None:
    Store(tmp_path / "store.sqlite").close()
    bundle = Store(tmp_path / "store.sqlite", immutable=True)
    with pytest.raises(StoreError, match="store.sqlite is read-only; write to a store of your own"):
        bundle.set_archived("x", True)


# Several connections.

ADD_RUN = """
import sys
from dataclasses import replace
from pathlib import Path
from aiq_core.store import Store, codec

store = Store(Path(sys.argv[1]))
run = replace(store.runs()[0], id=sys.argv[2])
store.add_run(run)
store.close()
"""


def test_a_store_opened_twice_sees_what_processes_write_after_others_left(tmp_path: Path, finished_run: Run) -> None:
    """Looked at as a plain file, the store would lose the first connection's lock, and its log with the next writer."""
    path = tmp_path / "store.sqlite"
    first = Store(path)
    first.add_run(finished_run)
    second = Store(path)
    for number in range(3):
        command = [sys.executable, "-c", ADD_RUN, str(path), f"000000000{number}"]
        subprocess.run(command, cwd=ROOT, check=True, timeout=60)
        assert first.has_run(f"000000000{number}")
        assert second.has_run(f"000000000{number}")
    second.add_run(replace(finished_run, id="0000000009"))
    first.close()
    second.close()
    assert Store(path).has_run("0000000009")


def test_a_store_of_the_first_version_keeps_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "store.sqlite"
    old = sqlite3.connect(path)
    old.execute(f"PRAGMA application_id={APPLICATION_ID}")
    old.executescript(MIGRATIONS[0])
    predicted = np.arange(10, dtype=np.uint8)
    row = ("m", "s", "q", "p", "measured", 10, 10, codec.pack(predicted), "cpu", "2", 1, 125, "then")
    old.execute(f"INSERT INTO evaluations VALUES ({','.join('?' * len(row))})", row)
    old.execute("PRAGMA user_version=1")
    old.commit()
    old.close()
    (found,) = Store(path).evaluations()
    assert (found.key.policy, found.integers) == ("p", "") and np.array_equal(found.outcomes, predicted)
