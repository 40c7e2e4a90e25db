"""What kind of CPU this is: predictions are compared, never assumed equal, across kinds."""

from pathlib import Path

import torch

from aiq_core.roof import processor


def cpu_kind() -> str:
    """The processor's name and the vector instructions torch uses on it."""
    return f"{processor()} ({torch.backends.cpu.get_cpu_capability()})"


def cpu_flags() -> set[str]:
    """The instructions that the processor names, none where the system does not say."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return set()
    return {flag for line in lines if line.startswith(("flags", "Features")) for flag in line.split(":", 1)[1].split()}
