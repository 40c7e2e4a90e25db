"""Errors that name the value, the limit and the remedy."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")


class AiqError(Exception):
    """Anything a user can cause or mend; its text is shown as it is, without a traceback."""


class UnknownNameError(AiqError):
    """A name that its registry does not hold."""

    def __init__(self, kind: str, name: str, known: Iterable[str]) -> None:
        super().__init__(f"unknown {kind} {name!r}; choose from {', '.join(known)}")


def look_up(kind: str, name: str, registry: Mapping[str, T]) -> T:
    """What a registry holds under a name. Raises UnknownNameError."""
    if name not in registry:
        raise UnknownNameError(kind, name, registry)
    return registry[name]


class SettingError(AiqError):
    """A setting outside its limits."""


class InfeasibleError(AiqError):
    """No policy can satisfy the request; the text names the limit that binds."""


class UncountableOperatorError(AiqError):
    """An operator whose FLOPs or bytes the profile cannot count."""


class DataError(AiqError):
    """Images or labels that are missing, truncated or not what they claim to be."""


class WeightsError(AiqError):
    """A weights file that is missing, of another format, or does not fit its card or model."""


class EvaluationError(AiqError):
    """A policy under which the network gives no class."""


class ClusterError(AiqError):
    """A cluster that cannot be reached, or that has no worker left which may compute."""


class StoreError(AiqError):
    """A database that cannot be used: foreign, newer, locked, read-only or unreadable."""


class ExchangeError(AiqError):
    """An exported document that is truncated, foreign or fails its hash."""


class Cancelled(AiqError):  # noqa: N818 - an outcome that unwinds, not a fault
    """The search was asked to stop; what it evaluated is kept."""
