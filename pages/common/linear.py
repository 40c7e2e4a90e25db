"""Timed linear layers, as the section and the lesson know them: those of this machine first, then those that ship."""

from aiq_core.linear import LINEAR, Linear
from pages.common import known


def layers() -> list[Linear]:
    """The latest of each size on each machine; this machine's newest first, then those that ship with the app."""
    library = known.library()
    own = library.without_bundled().measurements(LINEAR)
    here = sorted(own, key=lambda each: each.created_at, reverse=True)
    taken = {(each.cpu, each.threads, each.subject) for each in here}
    shipped = [each for each in library.measurements(LINEAR) if (each.cpu, each.threads, each.subject) not in taken]
    return [Linear.from_json(each.document) for each in (*here, *shipped)]


def is_here(found: Linear) -> bool:
    """Whether it was measured on this machine and not shipped with the app."""
    own = known.library().without_bundled().measurements(LINEAR)
    return any((each.created_at, each.subject) == (found.created_at, found.subject) for each in own)


def name(found: Linear) -> str:
    """`4096 × 4096, this machine, 1 thread`."""
    where = "this machine" if is_here(found) else found.cpu
    return f"{found.rows} × {found.columns}, {where}, {found.threads} thread{'s' if found.threads > 1 else ''}"
