"""Machines for the roofline: peak rates and DRAM bandwidth, one processor each, every number with its source.

The presets stand here; `Library.machines` has those that were measured or entered too.

Rates are dense peaks and one multiply-add counts as 2 operations. Integer rates are in operations per second and
share the axis with FLOP/s. Type FP32 is plain FP32; TF32 is what A100 and H100 run FP32-typed convolutions in.
Long because it is a table: a row a machine.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from aiq_core.errors import SettingError
from aiq_core.records import FP32_BITS

TERA, GIGA = 1e12, 1e9


class NumberType(StrEnum):
    """Types that a machine has arithmetic for, widest first."""

    FP32 = "FP32"
    TF32 = "TF32"
    FP16 = "FP16"
    BF16 = "BF16"
    INT8 = "INT8"
    INT4 = "INT4"


class SourceKind(StrEnum):
    """Who vouches for a number: its vendor (or reports of it), a measurement, factors multiplied here, or the user."""

    VENDOR = "vendor"
    MEASURED = "measured"
    DERIVED = "derived"
    ENTERED = "entered"


@dataclass(frozen=True, slots=True)
class Source:
    """A number and where it was read; `note` says how it was derived or which document holds it."""

    kind: SourceKind
    value: float
    note: str


@dataclass(frozen=True)
class Machine:
    """One processor: peak rate per number type in operations/s, and bandwidth in bytes/s.

    `bandwidth` is that of DRAM, or of the slowest level that weights come from.
    `fp32_typed` is the arithmetic that FP32-typed layers run in, None where the machine has none.
    `grade` is A (vendor document, two agreeing reports of it, or a direct measurement), B (inferred in part) or C (as
    a user entered it).
    """

    key: str
    name: str
    rates: Mapping[NumberType, Source]
    bandwidth: Source
    grade: str
    note: str = ""
    fp32_typed: NumberType | None = NumberType.FP32

    @property
    def spoken(self) -> str:
        """Its name within a sentence."""
        return f"t{self.name[1:]}" if self.name.startswith("This machine") else self.name

    @property
    def runs_fp32(self) -> bool:
        """Whether it can run layers whose activations are FP32."""
        return self.fp32_typed is not None

    def ceiling(self, weight_bits: int, activation_bits: int) -> tuple[NumberType, float]:
        """The number type and rate (operations/s) that bound a layer.

        Of the types that hold the wider of its two, the fastest that the machine has: integers of 8 bits are whole in
        FP16 and BF16, and a CPU without INT8 dot products multiplies them faster in FP32. Raises SettingError where
        there is none.
        """
        bits = max(weight_bits, activation_bits)
        wide: list[NumberType] = []
        if bits <= 4:
            wide.append(NumberType.INT4)
        if bits <= 8:
            wide += [NumberType.INT8, NumberType.FP16, NumberType.BF16]
        if self.fp32_typed is not None:
            wide.append(self.fp32_typed)
        rates = {number_type: self.rates[number_type].value for number_type in wide if number_type in self.rates}
        if rates:
            return max(rates.items(), key=lambda rate: rate[1])
        wanted = "FP32" if bits == FP32_BITS else f"{bits}-bit"
        raise SettingError(f"{self.name} can't run {wanted} activations; choose a machine that has this arithmetic")


_vendor = partial(Source, SourceKind.VENDOR)
_measured = partial(Source, SourceKind.MEASURED)
_derived = partial(Source, SourceKind.DERIVED)

_CPUFP = "pigirons/cpufp, benchmark_result at commit 93e165e"
_AMPERE = "NVIDIA, https://developer.nvidia.com/blog/nvidia-ampere-architecture-in-depth/"
_HOPPER = "https://glennklockwood.com/garden/processors/h100, citing NVIDIA"
_TURING = (
    "https://heise.de/news/Nvidia-Tesla-P4-K-I-Beschleuniger-mit-8-TFlops-bei-75-Watt-Leistungsaufnahme-4164684.html"
)
_ADA = "https://waredb.com/processor/nvidia-geforce-rtx-4090"
_ORIN = "NVIDIA data sheet v1.1, https://connecttech.com/ftp/pdf/nvidia_jetson_orin_datasheet.pdf"
_ADLER = f"{_CPUFP}, README at commit 0451420: 6 P-cores + 8 E-cores, separate runs added"
_W9 = f"{_CPUFP}, x64/Intel_Xeon_W9_3495X.md"
_RK3588 = f"{_CPUFP}, arm64/RockChip_RK3588.md: 4 A76 + 4 A55, separate runs added"
_PI5 = f"4 cores x 2.4 GHz x {{}} operations a cycle; measured {{}}: {_CPUFP}, arm64/Broadcom_BCM2712.md"
_RASPBERRY = "raspberrypi/documentation, documentation/asciidoc/computers/processors/bcm2712.adoc"
_ZEN4 = (
    "96 cores x 2.4 GHz base x {} operations a cycle, the last from one Zen 4 core "
    f"({_CPUFP}, x64/AMD_Ryzen7_8845HS.md)"
)
_M1 = (
    "4 P-cores x 3.2 GHz x 4 SIMD ports x {} lanes x 2, all ports assumed (ocxtal/insn_bench_aarch64 "
    "optimization_notes_apple_m1.md); ratio checked on an M2 Max"
)
_M1_DRAM = _vendor(68 * GIGA, "azhirnov/cpu-gpu-arch, cpu/Apple-Arch.md")
_RK3588_DRAM = _derived(
    2112e6 * 2 * 8, "controller 2112 MHz x 2 x 8 bytes: sbc-bench, Radxa-Rock-5B.md; memcpy reaches 10.1 GB/s"
)

_A100_RATES = {
    NumberType.FP32: _vendor(19.5 * TERA, _AMPERE),
    NumberType.TF32: _vendor(156 * TERA, _AMPERE),
    NumberType.FP16: _vendor(312 * TERA, f"{_AMPERE}, dense"),
    NumberType.INT8: _vendor(624 * TERA, f"{_AMPERE}, dense; 594 to 624 measured by Abdelkhalik et al."),
    NumberType.INT4: _vendor(1248 * TERA, f"{_AMPERE}, dense; 1,229 to 1,248 measured by Abdelkhalik et al."),
}
_A100_DRAM = _vendor(1555 * GIGA, f"{_AMPERE}; the 80 GB card has 2,039")
_H100_RATES = {
    NumberType.FP32: _vendor(66.9 * TERA, _HOPPER),
    NumberType.TF32: _vendor(494.7 * TERA, f"{_HOPPER}, dense"),
    NumberType.FP16: _vendor(989.4 * TERA, f"{_HOPPER}, dense"),
    NumberType.INT8: _vendor(1978.9 * TERA, f"{_HOPPER}, dense"),
}
_H100_DRAM = _vendor(3350 * GIGA, f"{_HOPPER}, SXM")
_NO_INT4_HOPPER = "no 4-bit tensor cores: 4-bit weights save bytes only (nunchux-ai/nunchaku issue 381)"

_PRESETS = (
    Machine(
        "a100-tf32", "A100 (TF32)", _A100_RATES, _A100_DRAM, "A", "PyTorch's default in convolutions", NumberType.TF32
    ),
    Machine("a100-fp32", "A100 (FP32)", _A100_RATES, _A100_DRAM, "A", "TF32 switched off"),
    Machine("h100-tf32", "H100 SXM (TF32)", _H100_RATES, _H100_DRAM, "A", _NO_INT4_HOPPER, NumberType.TF32),
    Machine("h100-fp32", "H100 SXM (FP32)", _H100_RATES, _H100_DRAM, "A", _NO_INT4_HOPPER),
    Machine(
        "t4",
        "T4",
        {
            NumberType.FP32: _vendor(8.1 * TERA, _TURING),
            NumberType.FP16: _vendor(
                65 * TERA,
                "https://geektopia.es/es/technology/2018/09/13/noticias/"
                "nvidia-presenta-la-nueva-tesla-t4-basada-en-turing-orientada-a-inteligencia-artificial.html",
            ),
            NumberType.INT8: _vendor(130 * TERA, _TURING),
            NumberType.INT4: _vendor(260 * TERA, _TURING),
        },
        _vendor(320 * GIGA, f"{_TURING}; 220 GB/s reached by Jia et al., arXiv 1903.07486"),
        "A",
    ),
    Machine(
        "rtx-4090",
        "GeForce RTX 4090",
        {
            NumberType.FP32: _vendor(82.58 * TERA, _ADA),
            NumberType.FP16: _vendor(165.15 * TERA, f"{_ADA}, dense"),
            NumberType.INT8: _vendor(660.6 * TERA, f"{_ADA}, dense"),
        },
        _vendor(
            1008 * GIGA, "https://www.thefpsreview.com/gpu-family/nvidia-geforce-rtx-4090-gpu-family-specifications"
        ),
        "B",
        "sources disagree on INT4, so it is left out: INT8's rate is the safe bound",
    ),
    Machine(
        "jetson-orin-nano",
        "Jetson Orin Nano 8GB",
        {
            NumberType.FP32: _derived(1024 * 2 * 625e6, f"1024 cores x 2 x 625 MHz: {_ORIN}"),
            NumberType.FP16: _derived(10 * TERA, f"half of INT8, as on A100: {_ORIN}"),
            NumberType.INT8: _vendor(20 * TERA, f"{_ORIN}, dense"),
        },
        _vendor(68 * GIGA, _ORIN),
        "A",
    ),
    Machine(
        "jetson-nano",
        "Jetson Nano",
        {
            NumberType.FP32: _derived(
                128 * 2 * 922e6,
                "128 cores x 2 x 922 MHz: https://gist.github.com/r7vme/45ad34e9c2e8d8cd1c01d94975ee6bee",
            ),
            NumberType.FP16: _vendor(472 * GIGA, "YahboomTechnology/Jetson-NANO-4GB README; type read as FP16"),
        },
        _vendor(
            25.6 * GIGA,
            "https://cpu-gpu.alldbin.com/graphics-card-comparison/Jetson-TX2-GPU-and-Jetson-Nano-comparison.html",
        ),
        "B",
        "no INT8 arithmetic (ceccocats/tkDNN issue 26)",
    ),
    Machine(
        "m1-gpu",
        "Apple M1 (GPU)",
        {
            NumberType.FP32: _vendor(
                2.6 * TERA, "https://www.macrumors.com/2020/11/10/apple-announces-m1-chip-for-the-mac/"
            ),
            NumberType.FP16: _measured(2.617 * TERA, "equal to FP32: philipturner/metal-benchmarks README (dc2adc6)"),
        },
        _M1_DRAM,
        "B",
    ),
    Machine(
        "m1-cpu",
        "Apple M1 (CPU)",
        {
            NumberType.FP32: _derived(4 * 3.2e9 * 4 * 4 * 2, _M1.format(4)),
            NumberType.FP16: _derived(4 * 3.2e9 * 4 * 8 * 2, _M1.format(8)),
            NumberType.INT8: _derived(4 * 3.2e9 * 4 * 16 * 2, _M1.format(16)),
        },
        _M1_DRAM,
        "B",
    ),
    Machine(
        "i7-1280p",
        "Core i7-1280P",
        {
            NumberType.FP32: _measured((670.05 + 434) * GIGA, _ADLER),
            NumberType.INT8: _measured((2636.8 + 867.99) * GIGA, _ADLER),
        },
        _derived(
            5200e6 * 16,
            "LPDDR5-5200 (https://www.notebookcheck.net/Intel-Core-i5-1240P-Processor-Benchmarks-and-Specs.589609.0.html)"
            " x 16 bytes; the 128-bit width is assumed",
        ),
        "B",
    ),
    Machine(
        "xeon-w9-3495x",
        "Xeon w9-3495X (AMX)",
        {
            NumberType.FP32: _measured(7.7876 * TERA, _W9),
            NumberType.FP16: _measured(141.12 * TERA, f"{_W9}, AMX BF16; plain FP16 reaches 19.761"),
            NumberType.INT8: _measured(293.86 * TERA, f"{_W9}, AMX"),
        },
        _derived(
            8 * 4800e6 * 8,
            "8 channels of DDR5-4800 (https://www.heise.de/news/"
            "Sapphire-Rapids-fuer-Workstations-Intels-Xeon-Prozessoren-W3400-und-W2400-7516604.html) x 8 bytes",
        ),
        "A",
        "FP16 is AMX's BF16",
    ),
    Machine(
        "epyc-9654",
        "EPYC 9654",
        {
            NumberType.FP32: _derived(96 * 2.4e9 * 32, _ZEN4.format(32)),
            NumberType.FP16: _derived(96 * 2.4e9 * 64, _ZEN4.format(64)),
            NumberType.INT8: _derived(96 * 2.4e9 * 128, _ZEN4.format(128)),
        },
        _vendor(460.8 * GIGA, "ggml-org/llama.cpp discussion 16569"),
        "B",
        "FP16 is BF16; at 3.7 GHz boost the rates are 1.54 times these",
    ),
    Machine(
        "rk3588-cpu",
        "RK3588 (CPU)",
        {
            NumberType.FP32: _measured((150.15 + 58.261) * GIGA, _RK3588),
            NumberType.FP16: _measured((301 + 116.5) * GIGA, _RK3588),
            NumberType.INT8: _measured((602 + 233) * GIGA, _RK3588),
        },
        _RK3588_DRAM,
        "B",
    ),
    Machine(
        "rk3588-npu",
        "RK3588 (NPU)",
        {
            NumberType.INT8: _vendor(
                6 * TERA, "industrialtablet/RK3588-Development-Board issue 9; the type is not stated and read as INT8"
            )
        },
        _RK3588_DRAM,
        "B",
        "FP16 and INT4 arithmetic exist, their rates are not published",
        fp32_typed=None,
    ),
    Machine(
        "pi-5",
        "Raspberry Pi 5",
        {
            NumberType.FP32: _derived(4 * 2.4e9 * 16, _PI5.format(16, "153.5 GFLOP/s")),
            NumberType.FP16: _derived(4 * 2.4e9 * 32, _PI5.format(32, "306.98 GFLOP/s")),
            NumberType.INT8: _derived(4 * 2.4e9 * 64, _PI5.format(64, "614.02 GOP/s")),
        },
        _vendor(17 * GIGA, _RASPBERRY),
        "A",
    ),
    Machine(
        "pi-4",
        "Raspberry Pi 4",
        {
            NumberType.FP32: _derived(
                4 * 1.5e9 * 8,
                "4 cores x 1.5 GHz x 8 operations a cycle; measured 47.883 GFLOP/s: "
                f"{_CPUFP}, arm64/Broadcom_BCM2711.md",
            )
        },
        _measured(5.5273 * GIGA, "STREAM Copy, https://www.sci-pi.org.uk/bench/stream.html; the peak is not published"),
        "B",
        "no FP16 arithmetic or INT8 dot product",
    ),
    Machine(
        "stm32h743",
        "STM32H743 (Cortex-M7)",
        {
            NumberType.FP32: _derived(
                2 * 480e6,
                "one multiply-add a cycle (https://www.elektroniknet.de/halbleiter/mikrocontroller/"
                "kann-arms-cortex-m7-einen-dsp-ersetzen.113297/seite-3.html) x 480 MHz (ST DS12110 Rev 10)",
            ),
            NumberType.INT8: _derived(
                4 * 480e6, "SMLAD, 2 multiply-adds a cycle (ARM-software/CMSIS-NN) x 480 MHz; unpacking not counted"
            ),
        },
        _derived(
            8 * 240e6,
            "AXI SRAM, 64 bit at half of 480 MHz: ST, STM32H74x/75x system architecture and performance, section 2.4",
        ),
        "B",
        "weights are read from AXI SRAM, 512 KB",
    ),
    Machine(
        "coral-usb",
        "Coral Edge TPU (USB)",
        {NumberType.INT8: _vendor(4 * TERA, "https://coral.ai/static/files/Coral-USB-Accelerator-datasheet.pdf, peak")},
        _derived(0.625 * GIGA, "USB 3.1 Gen 1, 5 Gb/s / 8; encoding loss not removed"),
        "B",
        "fixed-point only (https://coral.ai/docs/edgetpu/faq)",
        fp32_typed=None,
    ),
)

PRESETS: Mapping[str, Machine] = {machine.key: machine for machine in _PRESETS}
"""Key -> machine, in the order that menus show."""

DEFAULT_MACHINE = "a100-tf32"
"""One where quantizing weights pays: all layers of ResNet-20 are memory-bound on it at batch 1."""
