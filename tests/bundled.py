"""What ships with the app, for tests: read once, as no test changes its files."""

from aiq_core import catalog
from aiq_core.catalog import Dataset, Model
from aiq_core.records import ModelProfile

CATALOG = catalog.bundled()
NAMES = tuple(CATALOG.models)


def model(name: str) -> Model:
    return CATALOG.model(name)


def profile(name: str) -> ModelProfile:
    return model(name).profile


def dataset(name: str) -> Dataset:
    return CATALOG.dataset(name)
