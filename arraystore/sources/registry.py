"""All layouts of publishers that are known, and which of them the files of a scan have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from arraystore.sources.base import PatchSource, Source
from arraystore.sources.bioscan1m import Bioscan1M
from arraystore.sources.bioscan5m import Bioscan5M
from arraystore.sources.biosr import BioSR
from arraystore.sources.clibd import Clibd
from arraystore.sources.folder import Folder

if TYPE_CHECKING:
    from arraystore._core import Members

# BIOSCAN-1M is asked first: its directories name the same packages as those of BIOSCAN-5M, and their parts besides.
BIOSCAN_5M: Source = Bioscan5M()
BIOSCAN_1M: Source = Bioscan1M()
SOURCES: tuple[Source, ...] = (BIOSCAN_1M, BIOSCAN_5M)
ANY_FOLDER: Source = Folder()
BIOSR: PatchSource = BioSR()
# By the names of their tables, without the suffix.
_OF_TABLE: Mapping[str, Source] = {
    "BIOSCAN_5M_Insect_Dataset_metadata": BIOSCAN_5M,
    "BIOSCAN_1M_Insect_Dataset_metadata": BIOSCAN_1M,
    "BIOSCAN_Insect_Dataset_metadata": BIOSCAN_1M,
}


def recognise(members: Members, *, package: str | None = None) -> Source | PatchSource:
    """Return the source whose layout the files have.

    Parameters
    ----------
    members : Members
        All files of the sources.
    package : str, optional
        A publisher's package, if one was asked for; ``"folder"`` for any folder.

    Returns
    -------
    Source or PatchSource
        The first that knows their directories. If none does, any folder; but BIOSCAN-5M if a package was asked for,
        which only publishers have.
    """
    if package == ANY_FOLDER.dataset:
        return ANY_FOLDER
    if BIOSR.recognises(members):
        return BIOSR
    clibd = Clibd()
    if clibd.recognises(members):
        return clibd.for_members(members)
    unknown = ANY_FOLDER if package is None else BIOSCAN_5M
    return next((source for source in SOURCES if source.recognises(members)), unknown)


def publisher_of_table(paths: Sequence[Path]) -> Source | None:
    """Return the source whose metadata table was named, wherever it lies, and nothing besides.

    Parameters
    ----------
    paths : sequence of Path
        What was named as a source.

    Returns
    -------
    Source or None
        None if that is not one file with the name of such a table.
    """
    if len(paths) != 1 or paths[0].suffix not in (".csv", ".tsv", ".jsonld") or not paths[0].is_file():
        return None
    return _OF_TABLE.get(paths[0].stem)


def published_as(dataset: str) -> Source:
    """Return the source whose data set is called so; any folder if none is.

    Parameters
    ----------
    dataset : str
        Publisher's name of the data set.

    Returns
    -------
    Source
    """
    return next((source for source in SOURCES if source.dataset == dataset), ANY_FOLDER)
