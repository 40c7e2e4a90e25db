"""Taking in a run that another machine exported."""

import streamlit as st

from aiq_core import exchange
from aiq_core.errors import ExchangeError
from pages.common import errors, known, names
from pages.search import actions, draft, stored

LIMIT_MB = exchange.LIMIT_BYTES // 2**20


def draw() -> None:
    """A popover with an upload; a file is read once, when it arrives."""
    with st.popover("Import", icon=":material/upload:"):
        st.file_uploader(
            "A run exported from AIQ Explorer (JSON)",
            "json",
            key="import-file",
            max_upload_size=LIMIT_MB,
            on_change=_arrived,
        )
        st.caption("Checked by size and hash. It is shown with its origin and never answers a search here.")


def _arrived() -> None:
    upload = st.session_state.get("import-file")
    if upload is not None:
        stored.attempt(_import, upload.getvalue(), upload.name)


def _import(content: bytes, name: str) -> None:
    library = known.library()
    status = draft.unfinished_import(content)
    if status is not None:
        raise ExchangeError(f"{name} is a run that was {status} when it was exported; export it after it has ended")
    run = exchange.import_run(library, content, name)
    st.session_state[errors.NOTE] = f"Imported {names.title(run)} as run {run.id}: {names.origin(run)}."
    actions.show(run.id)
