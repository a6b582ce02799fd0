"""Batches for a training loop, decoded ahead; made by `Store.loader`."""

from arraystore.loader.loader import BadRecord, Loader
from arraystore.loader.options import Options

__all__ = ["BadRecord", "Loader", "Options"]
