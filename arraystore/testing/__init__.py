"""Shipped test material: synthetic JPEGs, whole packages, Hypothesis strategies."""

from arraystore.testing.jpegs import insect_jpeg, texture_jpeg
from arraystore.testing.large import make_large_hdf5, make_large_store
from arraystore.testing.packages import Bioscan1MPackage, BioscanPackage, make_bioscan1m, make_bioscan5m

__all__ = [
    "Bioscan1MPackage",
    "BioscanPackage",
    "insect_jpeg",
    "make_bioscan1m",
    "make_bioscan5m",
    "make_large_hdf5",
    "make_large_store",
    "texture_jpeg",
]
