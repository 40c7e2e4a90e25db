"""Widths, and a policy: a width for every site of a network."""

from dataclasses import dataclass

from aiq_core.errors import SettingError

FP32_BITS = 32
OFFERED_BITS = (32, 8, 7, 6, 5, 4, 3, 2)
"""Every width the quantizer can round to, widest first; 32 is FP32 itself."""

DEFAULT_WIDTHS = (32, 8, 4)
"""Widths on offer unless told otherwise, widest first: the paper's."""


@dataclass(frozen=True, slots=True)
class Policy:
    """Weight bits per quantizable layer and bits per activation group, both in network order."""

    weight_bits: tuple[int, ...]
    activation_bits: tuple[int, ...]

    @property
    def key(self) -> str:
        """Text that identifies the policy within its model: `w4.8.32 a32`; a run of equal widths is written once."""
        return f"w{_run_lengths(self.weight_bits)} a{_run_lengths(self.activation_bits)}"

    @property
    def is_fp32(self) -> bool:
        """Whether nothing is quantized."""
        return all(bits == FP32_BITS for bits in self.weight_bits + self.activation_bits)

    @property
    def has_activations(self) -> bool:
        """Whether any activations are below FP32."""
        return any(bits != FP32_BITS for bits in self.activation_bits)

    @classmethod
    def from_key(cls, key: str) -> "Policy":
        """The policy whose `key` this is. Raises SettingError for text of another form."""
        try:
            weights, activations = key.split(" ")
            if weights[0] != "w" or activations[0] != "a":
                raise ValueError(key)
            return cls(_from_run_lengths(weights[1:]), _from_run_lengths(activations[1:]))
        except (ValueError, IndexError):
            raise SettingError(f"policy key {key[:80]!r} cannot be read; it looks like 'w4.8.32x18 a32x12'") from None


def _run_lengths(bits: tuple[int, ...]) -> str:
    parts: list[str] = []
    start = 0
    for index in range(1, len(bits) + 1):
        if index == len(bits) or bits[index] != bits[start]:
            count = index - start
            parts.append(f"{bits[start]}x{count}" if count > 1 else f"{bits[start]}")
            start = index
    return ".".join(parts)


def _from_run_lengths(text: str) -> tuple[int, ...]:
    bits: list[int] = []
    for part in text.split(".") if text else ():  # a network may have none of a kind
        width, _, count = part.partition("x")
        repeat = int(count or 1)
        if int(width) not in OFFERED_BITS or not 0 < repeat <= 10_000:
            raise ValueError(part)
        bits.extend([int(width)] * repeat)
    return tuple(bits)
