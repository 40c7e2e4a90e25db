"""The command line: `python -m aiq_core --help`."""

from collections.abc import Callable

from rich.text import Text

# In the order in which help lists their commands.
from aiq_core.commands import models, searches, frontier, fastest, machine, machines  # isort: skip
from aiq_core.commands import linear, bench, measurements, tuning, runs, cluster, own  # isort: skip
from aiq_core.commands.console import app, err
from aiq_core.errors import AiqError


def main(command: Callable[[], None] = app) -> None:
    """Runs the command line; what a user can mend ends in one line, not in a traceback."""
    try:
        command()
    except AiqError as error:
        # As it is, on one line: what a user typed may look like markup, and a pipe is not 80 columns wide.
        text = Text.assemble(("error:", "red"), " ", " ".join(str(error).split()))
        err.print(text, highlight=False, soft_wrap=True)
        raise SystemExit(1) from None


if __name__ == "__main__":
    main()
