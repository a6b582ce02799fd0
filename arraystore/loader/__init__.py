"""Batches for a training loop, decoded ahead; made by `Store.loader`."""

from arraystore.loader.batch import BadRecord, Batches
from arraystore.loader.loader import Loader
from arraystore.loader.options import Options
from arraystore.loader.ring import Memory

__all__ = ["BadRecord", "Batches", "Loader", "Memory", "Options"]
