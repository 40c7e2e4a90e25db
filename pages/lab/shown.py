"""What the Lab shows: the policy at work, and what it is compared with; pure."""

from dataclasses import dataclass, replace
from typing import NamedTuple

from aiq_core.intensity import intensity
from aiq_core.records import FP32_BITS, ModelProfile, Move, Policy, Quantizer, Site, SiteKind
from aiq_core.space import Space
from aiq_core.wording import number, signed
from pages.common.controls import View
from pages.lab import policies
from pages.lab.history import Entry

START, FP32, PINNED = "start", "fp32", "pinned"


class Before(NamedTuple):
    """A policy that another is compared with, and its short name."""

    policy: Policy
    name: str


@dataclass(frozen=True)
class Shown:
    """A policy at work.

    `start` is where its editing began, `against` names what it is compared with among `offered`, `site` is the picked
    layer or activation group.
    """

    view: View
    policy: Policy
    start: Entry
    against: str
    site: Site

    @property
    def profile(self) -> ModelProfile:
        return self.view.model.profile

    @property
    def bits(self) -> int:
        """The picked site's."""
        return self.profile.width(self.policy, self.site)

    @property
    def is_layer(self) -> bool:
        return self.site.kind is SiteKind.WEIGHTS

    @property
    def space(self) -> Space:
        """The space that the policy is of."""
        return policies.space_of(self.policy, self.view.space)

    @property
    def quantizer(self) -> Quantizer:
        """How the policy is rounded."""
        return policies.how(self.view.model, self.policy, self.view.space)

    @property
    def is_editable(self) -> bool:
        """Whether the picked site may have other bits: activations only where their space is shown."""
        return self.is_layer or self.space.is_joint

    @property
    def is_unedited(self) -> bool:
        return self.policy == self.start.policy

    @property
    def before(self) -> Before:
        """What deltas are against. An unedited start stands against FP32: against itself there is nothing to see."""
        found = offered(self.view, self.start)
        return found[FP32 if self.against == START and self.is_unedited else self.against]

    @property
    def former(self) -> Policy:
        """What the bits chart's lines show."""
        return self.start.policy if self.against == START else self.before.policy

    def at(self, bits: int) -> "Shown":
        """The same with the picked site at `bits`."""
        return replace(self, policy=self.profile.moved(self.policy, Move(self.site, bits)))


def offered(view: View, start: Entry) -> dict[str, Before]:
    """What a policy may be compared with: where its editing began, FP32, and Explore's pinned one."""
    profile = view.model.profile
    found = {START: Before(start.policy, "start"), FP32: Before(profile.uniform(FP32_BITS), "FP32")}
    if (pinned := policies.pinned(view.pinned, profile)) is not None:
        found[PINNED] = Before(pinned, "A")
    return found


def parts(shown: Shown) -> tuple[str, str, str]:
    """The page's sentence: before the intensity, the intensity, which is coloured, and after it."""
    profile = shown.profile
    value, fp32 = intensity(profile, shown.policy), intensity(profile, profile.uniform(FP32_BITS))
    gain = 100 * (value / fp32 - 1)
    said = "" if shown.policy.is_fp32 else f", {signed(gain, 1 if abs(gain) < 99.95 else 0)} % on FP32"
    at = "" if shown.view.batch == 1 else " at batch 1"
    return f"{shown.view.model.title}: ", f"{number(value, 2)} FLOPs per byte{at}", said
