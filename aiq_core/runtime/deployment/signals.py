"""A thread's alternate signal stack, kept as it was.

OpenVINO compiles a model with one of its own in place and frees it with the model, in whatever order models go. Python
answers Ctrl-C on that stack (SA_ONSTACK), so one that is gone ends the process.
"""

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class _Stack(ctypes.Structure):
    """stack_t of Linux: sigaltstack(2)."""

    _fields_ = (("ss_sp", ctypes.c_void_p), ("ss_flags", ctypes.c_int), ("ss_size", ctypes.c_size_t))


@contextmanager
def signal_stack_kept() -> Iterator[None]:
    """Puts this thread's alternate signal stack back afterwards; does nothing on other systems than Linux."""
    if sys.platform != "linux":
        yield
        return
    before, system = _Stack(), ctypes.CDLL(None)
    system.sigaltstack(None, ctypes.byref(before))
    try:
        yield
    finally:
        system.sigaltstack(ctypes.byref(before), None)
