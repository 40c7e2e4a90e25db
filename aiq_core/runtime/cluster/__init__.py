"""Evaluations on many machines: one coordinator asks, and dask's workers answer. Only this folder imports dask."""

from aiq_core.runtime.cluster.coordinator import Cluster
