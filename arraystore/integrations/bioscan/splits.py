"""Names of splits, meta-splits, aliases and sums of them; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from arraystore.errors import InvalidRequestError

__all__ = ["SplitNames"]


@dataclass(frozen=True)
class SplitNames:
    """The names of splits that a partitioning knows.

    Attributes
    ----------
    splits : sequence of str
        Those that rows of the table have.
    metasplits : mapping of str to sequence of str
        Those that stand for several; without any, for themselves.
    aliases : mapping of str to str
        Other names of splits.
    """

    splits: Sequence[str]
    metasplits: Mapping[str, Sequence[str]]
    aliases: Mapping[str, str] = field(default_factory=dict)

    def canonical(self, split: str | None) -> str | None:
        """Return a name without its alias; sums stay as they are."""
        return None if split is None else self.aliases.get(split, split)

    def expand(self, split: str) -> set[str]:
        """Return the splits of a sum.

        Parameters
        ----------
        split : str
            Such as ``"pretrain+train"``.

        Returns
        -------
        set of str

        Raises
        ------
        InvalidRequestError
            If one of the names is unknown; a `ValueError`.

        Examples
        --------
        >>> names = SplitNames(["train", "val"], {"all": ["train", "val"]}, {"validation": "val"})
        >>> names.expand(" validation ")
        {'val'}
        """
        expanded: set[str] = set()
        for part in split.split("+"):
            name = self.aliases.get(part.strip(), part.strip())
            if name not in self.splits and name not in self.metasplits:
                known = ", ".join(map(repr, (*self.metasplits, *self.splits)))
                within = "" if name == split else f" in {split!r}"
                raise InvalidRequestError(
                    f"Invalid split name {name!r}{within}: expected one of {known}", "unknown-split"
                )
            expanded.update(self.metasplits.get(name) or (name,))
        return expanded
