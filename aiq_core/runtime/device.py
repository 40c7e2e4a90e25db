"""What computes forwards: the CPU, or an NVIDIA GPU in exact FP32."""

import os

import torch

from aiq_core.errors import SettingError
from aiq_core.runtime.cpu import cpu_kind

CPU, CUDA = "cpu", "cuda"


def device_of(name: str | None) -> torch.device:
    """The device of that name, the CPU where none is named. Raises SettingError where it is not here."""
    name = name or CPU
    if name not in (CPU, CUDA):
        raise SettingError(f"device={name!r} is not offered; choose from {CPU}, {CUDA}")
    if name == CUDA and not torch.cuda.is_available():
        raise SettingError(f"device={name!r} is not here: torch sees no NVIDIA GPU; choose {CPU}")
    return torch.device(name)


def processor_of(device: torch.device) -> str:
    """What an origin says of a device: a CPU with its instructions, a GPU with the libraries that use it."""
    if device.type == CPU:
        return cpu_kind()
    cudnn = torch.backends.cudnn.version()  # type: ignore[no-untyped-call]
    return f"{torch.cuda.get_device_name(device)} (CUDA {torch.version.cuda}, cuDNN {cudnn})"


def compute_exactly() -> None:
    """Products and convolutions of a GPU in FP32, by the same kernels each time: predictions are to be the CPU's.

    By default cuDNN shortens factors to TF32, 10 bits of fraction, and some kernels of attention do.
    """
    # For cuBLAS, which reads it once: https://docs.nvidia.com/cuda/cublas/#results-reproducibility
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    # What that leaves open would follow torch.backends.fp32_precision.
    torch.backends.cudnn.conv.fp32_precision = "ieee"  # type: ignore[attr-defined]
    torch.backends.cudnn.rnn.fp32_precision = "ieee"  # type: ignore[attr-defined]
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    for enable in (
        torch.backends.cuda.enable_flash_sdp,
        torch.backends.cuda.enable_mem_efficient_sdp,
        torch.backends.cuda.enable_cudnn_sdp,
    ):
        enable(False)
