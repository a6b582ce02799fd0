"""The images that the contests read: a store of a package, and all their bytes in one file."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from peers import Peer, Task, peers_of

import arraystore
from arraystore.testing import make_bioscan5m

# Modules of the peers that give pixels.
PIXELS = ("decode", "crops")


def make_corpus(folder: Path, source: str | None, images: int) -> int:
    """Write `store.zarr`, `pack.bin` and `pack.npy` of a package, or of a synthetic one; return how many images."""
    if not (folder / "pack.npy").exists():
        folder.mkdir(parents=True, exist_ok=True)
        store, package = folder / "store.zarr", None
        if source is None:
            package = make_bioscan5m(folder / "package", images, distinct=min(images, 400))
        sources, metadata = (package.sources(), package.metadata) if package else (source, None)
        if not (source and source.endswith(".zarr")):
            arraystore.ingest(sources, folder / "all.zarr", metadata=metadata, progress=False)
            source = str(folder / "all.zarr")
        with arraystore.open(source) as whole:
            good = np.flatnonzero(whole.status == 0)
            chosen = np.sort(np.random.default_rng(0).permutation(good)[:images])
            arraystore.export(whole.select(chosen), store, progress=False)
        write_pack(folder)
    return len(np.load(folder / "pack.npy")) - 1


def write_pack(folder: Path) -> None:
    """Write the bytes of all images of `store.zarr`, one after another, and where each begins."""
    ends = [0]
    with arraystore.open(folder / "store.zarr") as store, (folder / "pack.bin").open("wb") as pack:
        for start in range(0, len(store), 1000):
            for jpeg in store.jpeg(range(start, min(start + 1000, len(store)))):
                pack.write(jpeg)
                ends.append(ends[-1] + len(jpeg))
    np.save(folder / "pack.npy", np.array(ends))


def check_bytes(peer: Peer, task: Task, path: Path) -> str:
    """Compare the bytes of the first images."""
    with np.load(path) as found:
        for row, name in enumerate(found.files):
            if found[name].tobytes() != task.items[row]:
                raise ValueError(f"{peer.name} reads other bytes of row {row}")
        return "equal"


def check_pixels(peer: Peer, task: Task, path: Path) -> str:
    """Compare the pixels of the first images with those of Pillow."""
    pillow = next(each for each in peers_of(task.work, PIXELS) if each.name == "Pillow").open(task)
    most = 0
    with np.load(path) as found:
        for row, name in enumerate(found.files):
            (expected,) = pillow(np.array([row]))
            if found[name].shape != expected.shape:
                raise ValueError(f"{peer.name} reads shape {found[name].shape} of row {row}, not {expected.shape}")
            most = max(most, int(np.abs(found[name].astype(int) - expected).max()))
    if most > peer.tolerance:
        raise ValueError(f"{peer.name} differs by {most} of 255, allowed are {peer.tolerance}")
    return "equal" if most == 0 else f"within {most} of 255"
