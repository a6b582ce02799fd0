"""Rows of imaginary specimens, as the metadata of BIOSCAN-5M describes real ones."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np

__all__ = ["COLUMNS", "SPLIT_SHARES", "Specimen", "make_specimens"]

COLUMNS = (
    "processid", "sampleid", "taxon", "phylum", "class", "order", "family", "subfamily", "genus", "species",
    "dna_bin", "dna_barcode", "country", "province_state", "coord-lat", "coord-lon", "image_measurement_value",
    "area_fraction", "scale_factor", "inferred_ranks", "split", "index_bioscan_1M_insect", "chunk",
)  # fmt: skip

# Flatter than the published shares, so that a small package shows every split.
SPLIT_SHARES = {
    "pretrain": 0.32, "train": 0.28, "val": 0.08, "test": 0.10,
    "key_unseen": 0.08, "val_unseen": 0.04, "test_unseen": 0.04, "other_heldout": 0.06,
}  # fmt: skip

_CHUNK_LETTERS = {"pretrain": 2, "train": 1, "other_heldout": 1}

_ORDER_SHARES = {"Diptera": 0.55, "Hymenoptera": 0.17, "Coleoptera": 0.10, "Lepidoptera": 0.10, "Hemiptera": 0.08}

_FAMILIES = {
    "Diptera": {"Cecidomyiidae": "Lestremia", "Chironomidae": "Cricotopus", "Phoridae": "Megaselia", "Sciaridae": ""},
    "Hymenoptera": {"Braconidae": "Aphidius", "Platygastridae": "Telenomus", "Formicidae": "Gnamptogenys"},
    "Coleoptera": {"Chrysomelidae": "Longitarsus", "Curculionidae": "", "Staphylinidae": "Atheta"},
    "Lepidoptera": {"Gelechiidae": "Dichomeris", "Erebidae": "Hypena"},
    "Hemiptera": {"Cicadellidae": "Empoasca", "Aphididae": "Aphis", "Aleyrodidae": ""},
}

# "NA" stands for real text: readers must not take it for a missing value.
_PLACES = (
    ("Costa Rica", "Guanacaste", 10.85, -85.61), ("Costa Rica", "Limón", 9.99, -83.03),
    ("Canada", "Québec", 46.81, -71.21), ("South Africa", "Mpumalanga", -24.99, 31.59),
    ("Australia", "", -31.95, 115.86), ("Namibia", "NA", -22.56, 17.08),
)  # fmt: skip


@dataclass(frozen=True)
class Specimen:
    """One row of the table; every field is the text that stands in the CSV."""

    processid: str
    order: str
    split: str
    chunk: str
    others: dict[str, str]

    def row(self) -> list[str]:
        """Return the 23 cells in the order of `COLUMNS`."""
        own = {"processid": self.processid, "order": self.order, "split": self.split, "chunk": self.chunk}
        return [own.get(name) or self.others.get(name, "") for name in COLUMNS]


def make_specimens(n: int, *, seed: int = 0) -> list[Specimen]:
    """Make `n` specimens with distinct process ids; every split is present if `n` is at least 8.

    Parameters
    ----------
    n : int
        How many.
    seed : int
        Everything follows from it.

    Returns
    -------
    list of Specimen
        In no particular order, as in the published table.

    Examples
    --------
    >>> len({item.split for item in make_specimens(8)})
    8
    """
    rng = np.random.default_rng((seed, 5))
    shares = np.array(list(SPLIT_SHARES.values()))
    drawn = rng.choice(len(shares), n, p=shares / shares.sum())
    drawn[: len(shares)] = rng.permutation(len(shares))[:n]
    splits = [list(SPLIT_SHARES)[code] for code in drawn]
    return [_make_specimen(key, split, rng) for key, split in zip(_processids(n, rng), splits, strict=True)]


def _processids(n: int, rng: np.random.Generator) -> list[str]:
    """BOLD process ids: four or five letters, a number and the year."""
    letters = np.array(list("ABCDEGLMPRXY"))
    keys: dict[str, None] = {}
    while len(keys) < n:
        project = "".join(rng.choice(letters, int(rng.integers(4, 6))))
        keys[f"{project}{int(rng.integers(1, 9999)):03d}-{int(rng.integers(19, 24))}"] = None
    return list(keys)


def _make_specimen(key: str, split: str, rng: np.random.Generator) -> Specimen:
    order = str(rng.choice(list(_ORDER_SHARES), p=list(_ORDER_SHARES.values())))
    chunk = hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()[: _CHUNK_LETTERS.get(split, 0)]
    others = _taxonomy(order, split, rng) | _measurements(rng)
    others["sampleid"] = (
        f"BIOUG{int(rng.integers(10_000, 99_999))}-{'ABCDEFGH'[int(rng.integers(8))]}{int(rng.integers(1, 13)):02d}"
    )
    return Specimen(key, order, split, chunk, others)


def _taxonomy(order: str, split: str, rng: np.random.Generator) -> dict[str, str]:
    family = str(rng.choice(list(_FAMILIES[order]))) if rng.random() < 0.95 else ""
    genus = _FAMILIES[order].get(family, "") if split != "pretrain" or rng.random() < 0.2 else ""
    species = f"{genus} {rng.choice(['alba', 'nigra', 'minor'])}" if genus and split != "pretrain" else ""
    if species and split == "other_heldout":
        species = f"{genus} sp. {int(rng.integers(1, 9))}JB?"
    return {
        "taxon": species or genus or family or order,
        "phylum": "Arthropoda",
        "class": "Insecta",
        "family": family,
        "subfamily": f"{family[:-4]}inae" if family and rng.random() < 0.3 else "",
        "genus": genus,
        "species": species,
        "dna_bin": f"BOLD:A{''.join(rng.choice(list('ABCDE'), 2))}{int(rng.integers(1000, 9999))}"
        if rng.random() < 0.98
        else "",
        "dna_barcode": "".join(rng.choice(list("ACGT"), 658 - int(rng.integers(0, 30))))
        + "N" * int(rng.integers(0, 3)),
    }


def _measurements(rng: np.random.Generator) -> dict[str, str]:
    country, province, latitude, longitude = _PLACES[int(rng.integers(len(_PLACES)))]
    located, measured = rng.random() < 0.97, rng.random() < 0.96
    area = float(rng.uniform(0.02, 0.6))
    return {
        "country": country,
        "province_state": province,
        "coord-lat": f"{latitude + rng.normal(0, 0.2):.5f}" if located else "",
        "coord-lon": f"{longitude + rng.normal(0, 0.2):.5f}" if located else "",
        "image_measurement_value": str(int(rng.integers(2_000, 400_000))) if measured else "",
        "area_fraction": f"{area:.4f}" if measured else "",
        "scale_factor": f"{float(rng.uniform(0.4, 3.0)):.4f}" if measured else "",
        "inferred_ranks": str(int(rng.integers(0, 8))),
        "index_bioscan_1M_insect": str(int(rng.integers(1_128_313))) if rng.random() < 0.2 else "",
    }
