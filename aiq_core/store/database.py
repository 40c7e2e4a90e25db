"""Opening a database: judged before it is touched, created so that a kill at any moment leaves it ours."""

import sqlite3
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiq_core.errors import StoreError
from aiq_core.store.schema import APPLICATION_ID, MIGRATIONS

LOCK_WAIT_S = 15.0
"""How long a writer waits for another process before it says that the store is locked."""

MAGIC = b"SQLite format 3\x00"

_connected: set[tuple[int, int]] = set()
"""(device, inode) of the databases that this process has had a connection to."""
_APPLICATION_ID_AT, _USER_VERSION_AT = 68, 60  # https://www.sqlite.org/fileformat.html, section 1.3


def judge(path: Path) -> None:
    """Raises StoreError for a file that is foreign, newer or unreadable, without opening it for writing.

    Never of a file that this process is connected to: closing it would let go of every lock that the process has on it
    (https://www.sqlite.org/howtocorrupt.html, section 2.2), and the last worker to leave would then take the
    write-ahead log away under the open connections, which would no longer see what others write.
    """
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except OSError as error:
        raise StoreError(
            f"{path} cannot be read ({error.strerror}); check its permissions or set AIQ_DATA_DIR"
        ) from None
    if not header:
        return
    if len(header) < 100 or header[:16] != MAGIC:
        raise StoreError(f"{path} is not a SQLite file and was left untouched; move it away or set AIQ_DATA_DIR")
    (application,) = struct.unpack_from(">i", header, _APPLICATION_ID_AT)
    _check_is_ours(path, application)
    _check_is_known(path, _version(path, header))


def _check_is_ours(path: Path, application: int) -> None:
    if application != APPLICATION_ID:
        raise StoreError(
            f"{path} belongs to another application (id {application:#x}, ours is {APPLICATION_ID:#x}) and was left "
            "untouched; move it away or set AIQ_DATA_DIR"
        )


def _check_is_known(path: Path, version: int) -> None:
    if version > len(MIGRATIONS):
        raise StoreError(
            f"{path} has version {version}, newer than the {len(MIGRATIONS)} known here, and was left untouched; "
            "update AIQ Explorer or set AIQ_DATA_DIR"
        )


def _version(path: Path, header: bytes) -> int:
    """user_version: the header's, unless a write-ahead log may hold a later one."""
    log = path.with_name(path.name + "-wal")
    if not log.exists() or log.stat().st_size == 0:
        # SQLite would leave a log and an index beside a file that it may only read.
        return int(struct.unpack_from(">i", header, _USER_VERSION_AT)[0])
    try:
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=LOCK_WAIT_S)
        try:
            return int(connection.execute("PRAGMA user_version").fetchone()[0])
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise StoreError(f"{path} cannot be opened ({error}); check its permissions or set AIQ_DATA_DIR") from None


def connect(path: Path) -> sqlite3.Connection:
    """A connection for reading and writing; creates or migrates the file where needed."""
    with translated(path):
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{path.parent} cannot be created ({error.strerror}); set AIQ_DATA_DIR") from None
        known = path.exists() and _identity(path) in _connected
        if path.exists() and not known:
            judge(path)
        connection = sqlite3.connect(path, timeout=LOCK_WAIT_S, isolation_level=None, check_same_thread=False)
        try:
            if known:
                _check_is_ours(path, connection.execute("PRAGMA application_id").fetchone()[0])
                _check_is_known(path, connection.execute("PRAGMA user_version").fetchone()[0])
            _prepare(connection)
        except BaseException:
            connection.close()
            raise
        _connected.add(_identity(path))
        return connection


def _identity(path: Path) -> tuple[int, int]:
    stat = path.stat()
    return stat.st_dev, stat.st_ino


def _prepare(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA foreign_keys=ON")
    if connection.execute("PRAGMA user_version").fetchone()[0] < len(MIGRATIONS):
        # In this order: created WAL-first and killed, the file would look foreign.
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute("PRAGMA journal_mode=WAL")
        migrate(connection)
    connection.execute("PRAGMA synchronous=FULL")


def connect_immutable(path: Path) -> sqlite3.Connection:
    """A connection to a file that nobody writes: the bundled results."""
    judge(path)
    uri = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
    return sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)


def migrate(connection: sqlite3.Connection) -> None:
    """Applies the migrations that are missing, each in one transaction."""
    for number, migration in enumerate(MIGRATIONS, start=1):
        with transaction(connection):
            if connection.execute("PRAGMA user_version").fetchone()[0] >= number:
                continue
            for statement in migration.split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version={number}")


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Holds the write lock from the start, so that what is read inside is what is written over."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turns SQLite's errors into StoreErrors that say what to do."""
    try:
        yield
    except sqlite3.OperationalError as error:
        text = str(error)
        if "locked" in text or "busy" in text:
            advice = f"another process has held it for {LOCK_WAIT_S:.0f} s; close that process and try again"
        elif "full" in text:
            advice = "the disk is full; free some space and resume, nothing that was reported done is lost"
        elif "readonly" in text or "unable to open" in text:
            advice = "its folder cannot be written; change its permissions or set AIQ_DATA_DIR"
        else:
            advice = "check the disk and the file"
        raise StoreError(f"{path}: {text}; {advice}") from error
    except sqlite3.DatabaseError as error:
        raise StoreError(f"{path}: {error}; the file is damaged: restore a copy or set AIQ_DATA_DIR") from error
