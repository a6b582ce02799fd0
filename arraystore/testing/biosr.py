"""A small BioSR package in the layout of its publisher, with TIFFs written by hand."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["BiosrPackage", "make_biosr", "tiff_bytes"]

_LEVELS = 9


@dataclass(frozen=True)
class BiosrPackage:
    """A synthetic BioSR package on disk.

    Attributes
    ----------
    root : pathlib.Path
        The folder ``BioSR``, which `arraystore.ingest` takes.
    wf, gt : dict of str to ndarray
        The patch of each key, such as ``training/00000001`` or ``test/level_01/001``.
    """

    root: Path
    wf: dict[str, npt.NDArray[Any]]
    gt: dict[str, npt.NDArray[Any]]


def make_biosr(
    root: str | Path,
    training: int = 12,
    *,
    validate: int = 3,
    test: int = 2,
    side: int = 128,
    gt_side: int | None = None,
    dtype: str = "float32",
    seed: int = 0,
) -> BiosrPackage:
    """Write pairs of patches as ``BioSR/Microtubules/training_wf/00000001.tif`` and so on.

    Parameters
    ----------
    root : path
        Folder to write to; made if it is not there.
    training, validate : int
        Pairs of these sets.
    test : int
        Ground truths of the test set, each with a widefield patch at nine levels.
    side : int
        Height and width of a widefield patch in pixels.
    gt_side : int, optional
        Those of a ground truth; the same if not given.
    dtype : {"float32", "uint16"}
        Type of the samples.
    seed : int
        Everything follows from it.

    Returns
    -------
    BiosrPackage
    """
    folder = Path(root) / "BioSR/Microtubules"
    rng = np.random.default_rng(seed)
    wf: dict[str, npt.NDArray[Any]] = {}
    gt: dict[str, npt.NDArray[Any]] = {}

    def draw(path: str, pixels: int) -> npt.NDArray[Any]:
        patch = (rng.random((pixels, pixels)) * 60_000).astype(dtype)
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(tiff_bytes(patch))
        return patch

    for name, count in (("training", training), ("validate", validate)):
        for number in range(1, count + 1):
            wf[f"{name}/{number:08d}"] = draw(f"{name}_wf/{number:08d}.tif", side)
            gt[f"{name}/{number:08d}"] = draw(f"{name}_gt/{number:08d}.tif", gt_side or side)
    for number in range(1, test + 1):
        truth = draw(f"test_gt/{number:03d}.tif", gt_side or side)
        for level in range(1, _LEVELS + 1):
            key = f"level_{level:02d}/{number:03d}"
            wf[f"test/{key}"], gt[f"test/{key}"] = draw(f"test_wf/{key}.tif", side), truth
    return BiosrPackage(Path(root) / "BioSR", wf, gt)


def tiff_bytes(patch: npt.NDArray[Any]) -> bytes:
    """Return a grayscale image of float32 or uint16 as a TIFF of one strip, little-endian, not compressed."""
    height, width = patch.shape
    samples = patch.astype(patch.dtype.newbyteorder("<")).tobytes()
    entries = [
        (256, 4, width),
        (257, 4, height),
        (258, 3, patch.dtype.itemsize * 8),
        (259, 3, 1),
        (262, 3, 1),
        (273, 4, 8),
        (277, 3, 1),
        (278, 4, height),
        (279, 4, len(samples)),
        (339, 3, 3 if patch.dtype.kind == "f" else 1),
    ]
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return struct.pack("<2sHI", b"II", 42, 8 + len(samples)) + samples + directory + bytes(4)
