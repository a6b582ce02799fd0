"""The labels of BIOSCAN-1M as bioscan-dataset completes them: genus, tribe and subfamily; pure."""

from __future__ import annotations

from collections.abc import Callable

from arraystore.integrations.bioscan.categories import Categories

__all__ = ["COMPLETED", "complete_labels"]

COMPLETED = ("subfamily", "tribe", "genus")

# Tribes that the table names for some records of a genus only.
_TRIBE_OF_GENUS = {"Asteia": "Asteiini", "Nemorilla": "Winthemiini", "Philaenus": "Philaenini"}


def complete_labels(read: Callable[[str], Categories]) -> dict[str, Categories]:
    """Fill in labels that follow from others.

    Parameters
    ----------
    read : callable
        Gives the labels of a rank as the table has them.

    Returns
    -------
    dict of str to Categories
        ``"subfamily"``, ``"tribe"`` and ``"genus"``. A tribe or subfamily that is not known, though a finer rank is,
        becomes ``"unassigned "`` and the next rank above that is known.

    Examples
    --------
    >>> import numpy as np
    >>> def read(rank):
    ...     names = {"species": ["Asteia amoena"], "family": ["Asteiidae"]}.get(rank, [])
    ...     return Categories(np.array([len(names) - 1], np.int8), names)
    >>> {rank: labels.at(np.array([0])).tolist() for rank, labels in complete_labels(read).items()}
    {'subfamily': ['unassigned Asteiidae'], 'tribe': ['unassigned Asteiidae'], 'genus': ['Asteia']}
    """
    subfamily, tribe, genus, species = (read(rank) for rank in ("subfamily", "tribe", "genus", "species"))
    unassigned_family = read("family").mapped(_unassigned)
    for name, its_tribe in _TRIBE_OF_GENUS.items():
        tribe = tribe.overlaid(genus.isin([name]), its_tribe)
    genus = genus.overlaid(~genus.is_known, species.mapped(_first_word))
    needs_tribe = ~tribe.is_known & genus.is_known
    tribe = tribe.overlaid(needs_tribe & subfamily.is_known, subfamily.mapped(_unassigned))
    tribe = tribe.overlaid(needs_tribe & ~subfamily.is_known, unassigned_family)
    subfamily = subfamily.overlaid(~subfamily.is_known & tribe.is_known, unassigned_family)
    return {"subfamily": subfamily, "tribe": tribe, "genus": genus}


def _unassigned(name: str) -> str:
    return f"unassigned {name}"


def _first_word(name: str) -> str:
    return name.split(" ")[0]
