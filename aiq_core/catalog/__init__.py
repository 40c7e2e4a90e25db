"""Networks with their weights and data sets with their splits, as they lie in folders; without torch.

A `Catalog` is a folder: `models/NAME` and `data/NAME` below it. It hands over `Model` and `Dataset` objects, which read
what they are asked for once and keep it. The app's own folder is one catalogue (`bundled`), a user's another.
"""

from aiq_core.catalog.catalog import ASSETS, Catalog, bundled
from aiq_core.catalog.dataset import Dataset, Split, cache_dir, data_dir
from aiq_core.catalog.model import Card, LayerInput, Model
