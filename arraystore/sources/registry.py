"""All layouts of publishers that are known, and which of them the files of a scan have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arraystore.sources.base import Source
from arraystore.sources.bioscan5m import Bioscan5M

if TYPE_CHECKING:
    from arraystore._core import Members

SOURCES: tuple[Source, ...] = (Bioscan5M(),)


def recognise(members: Members) -> Source:
    """Return the source whose layout the files have.

    Parameters
    ----------
    members : Members
        All files of the sources.

    Returns
    -------
    Source
        The first that knows their directories. If none does, the first of all: it then asks for the package, or says
        what it expected.
    """
    return next((source for source in SOURCES if source.recognises(members)), SOURCES[0])
