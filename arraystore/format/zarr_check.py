"""The files of a Zarr store against what its root document and the format say of them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from arraystore import _core
from arraystore.errors import ArrayStoreError
from arraystore.format.arrays import ArrayForm
from arraystore.format.base import Advance, Problem
from arraystore.format.generations import other_states
from arraystore.format.zarr import DOCUMENT, ZarrLayout, store_files


def check_files(layout: ZarrLayout, advance: Advance) -> Iterator[Problem]:
    """Name all that is wrong with the files of a store, but for the bytes of its records.

    Parameters
    ----------
    layout : ZarrLayout
        The store.
    advance : callable
        Called with the number of files so far, of those that have a checksum.

    Yields
    ------
    Problem
    """
    yield from _check_structure(layout, store_files(layout.path))
    yield from _check_documents(layout)
    yield from _check_checksums(layout, advance)


def _check_structure(layout: ZarrLayout, files: list[str]) -> Iterator[Problem]:
    expected = {*layout.spec.checksums}
    for array in layout.array_paths():
        try:
            form = layout.form(array)
        except ArrayStoreError as error:
            yield Problem("document", array, str(error))
            continue
        node = layout.node(array)
        expected |= {f"{node}/{name}" for name in form.shard_names()}
        for shard, name in enumerate(form.shard_names()):
            yield from _check_shard(layout.path, f"{node}/{name}", form, shard)
    is_of_another_state = other_states(layout)
    for name in files:
        if name not in expected and not is_of_another_state(name):
            yield Problem("stray-file", name, "no part of the store; remove it if you don't know it")


def _check_shard(store: Path, name: str, form: ArrayForm, shard: int) -> Iterator[Problem]:
    try:
        with (store / name).open("rb") as file:
            found = file.seek(0, os.SEEK_END)
            if form.codec is not None:
                yield from _check_compressed(name, file, found, form, shard)
                return
            if found != form.file_nbytes(shard):
                detail = f"expected {form.file_nbytes(shard):,} bytes, found {found:,}"
                yield Problem("wrong-length", name, detail)
                return
            # Made here anew, and not by the core, which wrote it: two opinions of what a footer is.
            footer = form.footer(shard)
            file.seek(-len(footer), os.SEEK_END)
            if file.read() != footer:
                yield Problem("shard-index", name, "the shard index at the end of the file is damaged")
    except FileNotFoundError:
        yield Problem("missing-file", name, "the shard is missing")
    except OSError as error:
        yield Problem("unreadable", name, f"cannot be read: {error.strerror}")


def _check_compressed(name: str, file: BinaryIO, nbytes: int, form: ArrayForm, shard: int) -> Iterator[Problem]:
    """Compare a shard of compressed items with what its index should be: one after another, from the first byte."""
    least = form.footer_nbytes + form.chunk_count(shard)
    if nbytes < least:
        yield Problem("wrong-length", name, f"expected at least {least:,} bytes, found {nbytes:,}")
        return
    file.seek(nbytes - form.footer_nbytes)
    footer = file.read()
    sizes = np.frombuffer(footer[: 16 * form.chunk_count(shard)], "<u8").reshape(-1, 2)[:, 1]
    # Summed in Python: what a hostile index says may overflow.
    if sum(sizes.tolist()) != nbytes - form.footer_nbytes or form.footer_of(sizes) != footer:
        yield Problem("shard-index", name, "the shard index at the end of the file is damaged")


def _check_documents(layout: ZarrLayout) -> Iterator[Problem]:
    """Compare the documents in the root with those of the nodes, of which each is enough for some reader."""
    for node, expected in layout.documents.items():
        name = f"{node}/{DOCUMENT}"
        try:
            found = json.loads((layout.path / name).read_bytes())
        except FileNotFoundError:
            # Named with the files, if it has a checksum.
            found = None if name in layout.spec.checksums else {}
        except (OSError, ValueError):
            found = {}
        if found is not None and found != expected and not _is_grown(layout, node, found):
            yield Problem("document", name, f"differs from what the root {DOCUMENT} says of this node")


def _check_checksums(layout: ZarrLayout, advance: Advance) -> Iterator[Problem]:
    shards = {f"{layout.node(array)}/{name}" for array in layout.array_paths() for name in _shard_names(layout, array)}
    # Its document is compared as such: an append makes it grow before the root document.
    documents = {f"{field.name}/data/{DOCUMENT}" for field in layout.spec.fields}
    for done, (name, expected) in enumerate(layout.spec.checksums.items(), 1):
        try:
            found = _core.file_crc32c(str(layout.path / name))
        except FileNotFoundError:
            # A missing shard was named with the structure.
            if name not in shards:
                yield Problem("missing-file", name, "the file is missing")
        except OSError as error:
            yield Problem("unreadable", name, f"cannot be read: {error}")
        else:
            if found != expected and name not in documents:
                yield Problem("checksum", name, f"expected CRC-32C {expected:08x}, found {found:08x}")
        advance(done, 0)


def _is_grown(layout: ZarrLayout, node: str, found: object) -> bool:
    """Tell whether this is the document of a `data` array as an append leaves it before it commits: longer."""
    field, expected = node.removesuffix("/data"), layout.documents[node]
    if node == field or field not in [each.name for each in layout.spec.fields]:
        return False
    try:
        (now,), (then,) = found["shape"], expected["shape"]  # type: ignore[index]
        return bool(now > then and {**found, "shape": expected["shape"]} == expected)  # type: ignore[dict-item]
    except (KeyError, TypeError, ValueError):
        return False


def _shard_names(layout: ZarrLayout, array: str) -> list[str]:
    try:
        return layout.form(array).shard_names()
    except ArrayStoreError:
        return []
