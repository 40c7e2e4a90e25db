"""The nouns that every module speaks: profiles, sites, policies, evaluations, steps and runs, all frozen."""

from aiq_core.records.evaluation import (
    Evaluation,
    EvaluationKey,
    ImageSet,
    Origin,
    Outcomes,
    Score,
    SplitName,
    is_done,
    unfinished,
)
from aiq_core.records.kernel_table import TABLE, Border, KernelTable, KernelTimes, integer_tensors, table_subject
from aiq_core.records.measurement import Measurement
from aiq_core.records.policy import DEFAULT_WIDTHS, FP32_BITS, OFFERED_BITS, Policy
from aiq_core.records.profile import Layer, LayerKind, ModelProfile, Move, Site, SiteKind
from aiq_core.records.quantizer import EVALUATOR_VERSION, FINE_TUNED, Granularity, Grid, Quantizer, Ranges
from aiq_core.records.run import (
    DEFAULT_ACCURACY_NORMALISER,
    UNFUSED,
    Candidate,
    Outcome,
    Request,
    Run,
    RunStatus,
    Step,
)
from aiq_core.records.task import Task
from aiq_core.records.tuning import Tuning
