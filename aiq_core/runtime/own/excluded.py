"""Which layers of a network stay FP32 because its owner says so, and whether any are left."""

from collections.abc import Sequence

from aiq_core.errors import SettingError
from aiq_core.records import ModelProfile


class Excluded(tuple[str, ...]):
    """Layers by name, or by the start of their names: `layer1` holds all below it."""

    __slots__ = ()

    def __contains__(self, name: object) -> bool:
        return any(name == each or str(name).startswith(f"{each}.") for each in self)


def check_layers(counted: ModelProfile, excluded: Sequence[str], need_bits: bool = False) -> None:
    """Raises SettingError where there are no layers, none that can have bits, or an excluded one is none."""
    if not counted.layers:
        raise SettingError(f"{counted.model} does no multiply-accumulates, so nothing is counted; give another network")
    known = [layer.name for layer in counted.layers if layer.has_site]
    for name in excluded:
        if not any(each in Excluded((name,)) for each in known):
            raise SettingError(f"exclude={name!r} is no layer of {counted.model}; choose from {', '.join(known)}")
    if need_bits and not counted.quantizable:
        raise SettingError(
            f"no layer of {counted.model} can have bits, as weights of convolutions and linear layers have that are "
            "not excluded; count it alone by --only-profile"
        )
