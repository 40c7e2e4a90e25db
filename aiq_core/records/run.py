"""A request and what came of it: runs, their steps and the moves that these considered."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from enum import StrEnum
from functools import cached_property
from typing import Any

from aiq_core.records.evaluation import Origin, Score
from aiq_core.records.policy import DEFAULT_WIDTHS, FP32_BITS, Policy
from aiq_core.records.profile import ModelProfile, Move, Site, SiteKind
from aiq_core.records.quantizer import Quantizer
from aiq_core.records.tuning import Tuning


class Outcome(StrEnum):
    """What became of a candidate."""

    WON = "won"
    LOST = "lost"
    CANNOT_WIN = "cannot win"
    PRUNED = "pruned"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A move that a step considered: its AI, and its bound (its loss if no accuracy were lost).

    `needs` is the score with which it would have won when it was asked (None: it could not win, or was pruned).
    `score` and `loss` stand only where it reached that.
    """

    move: Move
    intensity: float
    bound: float
    outcome: Outcome
    needs: Score | None = None
    score: Score | None = None
    loss: float | None = None


@dataclass(frozen=True, slots=True)
class Step:
    """What a search tried, took and why. `move` is None where it kept what it had.

    `sweep` counts coordinate descent's passes from 1; `score` is on the run's search images.
    """

    index: int
    sweep: int
    move: Move | None
    policy: Policy
    intensity: float
    score: Score
    loss: float
    reason: str
    candidates: tuple[Candidate, ...] = ()


class RunStatus(StrEnum):
    """Where a run stands; INTERRUPTED is a process that died, FAILED one that ended with an error."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    INTERRUPTED = "interrupted"
    FAILED = "failed"


DEFAULT_ACCURACY_NORMALISER = 10.0
"""Points that count as 1 in the loss: the authors'."""

UNFUSED = "unfused"
"""The paper's traffic model: every layer reads and writes DRAM."""

_LATER: Mapping[str, Any] = {
    "activation_widths": (FP32_BITS,),
    "start": None,
    "choose_images": None,
    "traffic": UNFUSED,
    "tuning": None,
    "points": None,
    "within": (),
    "measure": None,
    "refinement": 0,
    "seed": None,
    "cluster": None,
    "table": None,
    "device": None,
}
"""Settings that came after the first runs were stored -> the value that means what was done before. Frozen: a setting
enters the document and the digest only where it differs, so stored runs keep their ids whatever a default becomes."""


WHERE = ("sweep", "cluster", "device")
"""Settings that say where and beside what a request is run: no part of what it is."""


@dataclass(frozen=True)
class Request:
    """Everything that decides a run's result, apart from the machine.

    `alpha` is 0 (only accuracy) to 1 (only AI). `intensity_normaliser` is in FLOPs/byte and
    `accuracy_normaliser` in points; None takes the default of `objective`. `floor_percent` is the lowest
    search top-1 allowed; None takes FP32's minus 2.42 points. `policies` lists the policies of algorithms that
    do not search, in order, by name. `max_evaluations` and `max_minutes` end a search at its best so far.
    `use_bundled` lets the bundled evaluations answer. Runs of one `sweep` advance together; it is no part of
    their digest. `widths` are offered to weights, `activation_widths` to activation groups. A search begins at `start`
    (None is FP32 with `fixed` held). With `choose_images` it chooses on the first of its `images` and confirms on
    the rest of them. `traffic` names how bytes are counted. With `tuning`, its one policy is trained before it is
    measured; from then on its quantizer says what came of that, which is no part of the digest. A frontier has so many
    `points`, each `within` these budgets (as text), of costs by `measure`; with `refinement`, so many evaluations more
    look around them; one that is drawn from a `seed` is what so many `points` evaluated hold. `cluster` is
    the address of a scheduler whose workers evaluate, `device` what evaluates here where it is not the CPU; neither is
    part of the digest. With the hash of a `table` of kernels, a frontier is along the time that this predicts, not
    along AI.
    """

    model: str
    algorithm: str
    alpha: float | None = None
    widths: tuple[int, ...] = DEFAULT_WIDTHS
    intensity_normaliser: float | None = None
    accuracy_normaliser: float = DEFAULT_ACCURACY_NORMALISER
    floor_percent: float | None = None
    excluded: tuple[str, ...] = ()
    fixed: Mapping[str, int] = field(default_factory=dict)
    images: int = 5000
    quantizer: Quantizer = Quantizer()
    policies: tuple[Policy, ...] = ()
    label: str | None = None
    max_evaluations: int | None = None
    max_minutes: float | None = None
    use_bundled: bool = True
    sweep: str | None = None
    activation_widths: tuple[int, ...] = (FP32_BITS,)
    start: Policy | None = None
    choose_images: int | None = None
    traffic: str = UNFUSED
    tuning: Tuning | None = None
    points: int | None = None
    within: tuple[str, ...] = ()
    measure: str | None = None
    refinement: int = 0
    seed: int | None = None
    cluster: str | None = None
    table: str | None = None
    device: str | None = None

    @cached_property
    def digest(self) -> str:
        """Ten hex digits that identify the request, the same on every machine."""
        return self.digest_with({})

    def digest_with(self, contents: Mapping[str, str]) -> str:
        """The digest of the request for a model of these contents: hashes by name, none for a bundled model."""
        asked = replace(self, quantizer=replace(self.quantizer, trained=None)).to_json()
        document = {name: value for name, value in asked.items() if name not in WHERE} | dict(contents)
        text = json.dumps(document, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:10]

    def start_policy(self, profile: ModelProfile) -> Policy:
        """Where a search begins: at `start`, or FP32, with the excluded layers at FP32 and the fixed ones held.

        Raises SettingError for what is no layer here, or a start of another network.
        """
        # `policy` refuses what is no layer here.
        held = profile.named_bits(profile.policy(dict.fromkeys(self.excluded, FP32_BITS) | dict(self.fixed)))
        start = self.start or profile.uniform(FP32_BITS)
        profile.check(start)
        sites = [site for site in profile.weight_sites if site.name in {*self.excluded, *self.fixed}]
        return profile.moved(start, *(Move(site, held[site.name]) for site in sites))

    def movable(self, profile: ModelProfile) -> tuple[Site, ...]:
        """The sites that a search may move, in network order: a layer's weights before the group that it writes."""
        held = {*self.excluded, *self.fixed}
        start = self.start_policy(profile)
        return tuple(
            site
            for site in profile.sites
            if any(bits != profile.width(start, site) for bits in self.offered(site))
            and not (site.kind is SiteKind.WEIGHTS and site.name in held)
        )

    def offered(self, site: Site) -> tuple[int, ...]:
        """The widths on offer to a site, widest first."""
        widths = self.widths if site.kind is SiteKind.WEIGHTS else self.activation_widths
        return tuple(sorted(widths, reverse=True))

    @property
    def is_joint(self) -> bool:
        """Whether activations have bits in it, and not weights alone."""
        named = self.policies if self.start is None else (self.start, *self.policies)
        return set(self.activation_widths) != {FP32_BITS} or any(policy.has_activations for policy in named)

    @property
    def chooses_on(self) -> int:
        """How many search images a choice is made on, the first ones."""
        return self.images if self.choose_images is None else self.choose_images

    @property
    def is_ordinary(self) -> bool:
        """Whether only model, algorithm, alpha and images tell it from what a reader would ask for first."""
        return self.is_ordinary_but()

    def is_ordinary_but(self, **settings: Any) -> bool:
        """Whether it is ordinary but for these settings, which are as given."""
        usual = Request(self.model, self.algorithm, self.alpha, images=self.images)
        any_way = ("label", "use_bundled", "policies", *WHERE)
        how = {name: getattr(self, name) for name in any_way}
        return self == replace(usual, **{**how, **settings})

    def to_json(self) -> dict[str, Any]:
        """A JSON-ready document; `from_json` reads it back."""
        document = {name: getattr(self, name) for name in self.__dataclass_fields__} | {
            "fixed": dict(self.fixed),
            "quantizer": self.quantizer.to_json(),
            "policies": [policy.key for policy in self.policies],
            "start": None if self.start is None else self.start.key,
            "tuning": None if self.tuning is None else asdict(self.tuning),
        }
        return {name: value for name, value in document.items() if name not in _LATER or value != _LATER[name]}

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> "Request":
        """The request that `to_json` wrote."""
        fields = {**_LATER, **document}
        start, tuning = fields["start"], fields["tuning"]
        return cls(
            **{
                **fields,
                "widths": tuple(fields["widths"]),
                "activation_widths": tuple(fields["activation_widths"]),
                "excluded": tuple(fields["excluded"]),
                "fixed": dict(fields["fixed"]),
                "within": tuple(fields["within"]),
                "quantizer": Quantizer.from_json(fields["quantizer"]),
                "policies": tuple(Policy.from_key(key) for key in fields["policies"]),
                "start": None if start is None else Policy.from_key(start),
                "tuning": None if tuning is None else Tuning(**tuning),
            }
        )


@dataclass(frozen=True)
class Run:
    """A request and what came of it. `policy` is the chosen one (best so far while it runs), None before the first.

    `evaluations` were asked for, as if nothing had been known; `evaluations_new` were computed by this run.
    Settings that the request left open stand resolved here: `intensity_normaliser`, `floor_score` and
    `baseline_score`, FP32's, on the request's search images. `traceback` is that of an error which nobody
    foresaw.
    """

    id: str
    request: Request
    model_hash: str
    search_hash: str
    report_hash: str
    status: RunStatus
    created_at: str
    origin: Origin | None = None
    finished_at: str | None = None
    steps: tuple[Step, ...] = ()
    policy: Policy | None = None
    evaluations: int = 0
    evaluations_new: int = 0
    intensity_normaliser: float | None = None
    floor_score: Score | None = None
    baseline_score: Score | None = None
    seconds: float = 0.0
    message: str = ""
    traceback: str = ""
    archived: bool = False
