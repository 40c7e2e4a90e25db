"""The only SQL: a SQLite file of evaluations and runs."""

from aiq_core.store.store import Store
