"""Migrations, append-only, each in one transaction; the count applied stands in user_version."""

APPLICATION_ID = 0x41495145
"""'AIQE' in the file's header: a file without it is not ours."""

MIGRATIONS: tuple[str, ...] = (
    """
    CREATE TABLE evaluations (
        model_hash TEXT NOT NULL,
        split_hash TEXT NOT NULL,
        quantizer TEXT NOT NULL,
        policy TEXT NOT NULL,
        source TEXT NOT NULL,
        images INTEGER NOT NULL,
        done INTEGER NOT NULL,
        predicted BLOB NOT NULL,
        cpu TEXT NOT NULL,
        torch TEXT NOT NULL,
        threads INTEGER NOT NULL,
        chunk INTEGER NOT NULL,
        created_at TEXT NOT NULL,
        PRIMARY KEY (model_hash, split_hash, quantizer, policy, source)
    ) WITHOUT ROWID;
    CREATE TABLE runs (
        id TEXT PRIMARY KEY,
        model TEXT NOT NULL,
        algorithm TEXT NOT NULL,
        alpha REAL,
        status TEXT NOT NULL,
        archived INTEGER NOT NULL DEFAULT 0,
        cancel_requested INTEGER NOT NULL DEFAULT 0,
        heartbeat_at REAL NOT NULL DEFAULT 0,
        created_at TEXT NOT NULL,
        document TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE steps (
        run_id TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
        position INTEGER NOT NULL,
        document BLOB NOT NULL,
        PRIMARY KEY (run_id, position)
    ) WITHOUT ROWID;
    """,
    "ALTER TABLE evaluations ADD COLUMN integers TEXT NOT NULL DEFAULT ''",
    """
    CREATE TABLE roofs (
        cpu TEXT NOT NULL,
        threads INTEGER NOT NULL,
        created_at TEXT NOT NULL,
        document TEXT NOT NULL,
        PRIMARY KEY (cpu, threads, created_at)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE measurements (
        kind TEXT NOT NULL,
        cpu TEXT NOT NULL,
        threads INTEGER NOT NULL,
        subject TEXT NOT NULL,
        created_at TEXT NOT NULL,
        document TEXT NOT NULL,
        PRIMARY KEY (kind, cpu, threads, subject, created_at)
    ) WITHOUT ROWID;
    INSERT INTO measurements SELECT 'roof', cpu, threads, '', created_at, document FROM roofs;
    DROP TABLE roofs;
    CREATE TABLE machines (
        key TEXT PRIMARY KEY,
        created_at TEXT NOT NULL,
        document TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE tasks (
        id TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        status TEXT NOT NULL,
        cancel_requested INTEGER NOT NULL DEFAULT 0,
        heartbeat_at REAL NOT NULL,
        created_at TEXT NOT NULL,
        document TEXT NOT NULL
    ) WITHOUT ROWID
    """,
)
