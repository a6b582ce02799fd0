"""How a dataset is shown: as torchvision shows its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

__all__ = ["dataset_lines"]

_INDENT = " " * 4


def dataset_lines(dataset: Any, arguments: Sequence[str]) -> list[str]:
    """Return the lines that show a dataset.

    Parameters
    ----------
    dataset : BioscanDataset
        Its class, length, root and transforms are shown.
    arguments : sequence of str
        Lines that tell its arguments.

    Returns
    -------
    list of str
    """
    lines = [f"Number of datapoints: {len(dataset)}", f"Root location: {dataset.root}", *arguments]
    transforms = [
        *_lines_of(dataset.transform, "Transform: "),
        *_lines_of(dataset.target_transform, "Target transform: "),
    ]
    shown = [f"Dataset {type(dataset).__name__}", *(_INDENT + line for line in lines)]
    return [*shown, f"{_INDENT}StandardTransform", *transforms] if transforms else shown


def _lines_of(transform: object, head: str) -> list[str]:
    if transform is None:
        return []
    first, *rest = repr(transform).splitlines()
    return [head + first, *(" " * len(head) + line for line in rest)]
