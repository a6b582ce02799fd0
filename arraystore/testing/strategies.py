"""Hypothesis strategies: images, boxes, indices of a store, damaged JPEGs. Needs `hypothesis`."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from hypothesis import strategies as st

from arraystore.testing.jpegs import texture_jpeg

__all__ = [
    "boxes_inside",
    "crop_options",
    "damaged_jpegs",
    "image_sizes",
    "jpegs",
    "keys",
    "row_lists",
    "store_indices",
]


def image_sizes(*, largest: int = 100) -> st.SearchStrategy[tuple[int, int]]:
    """Draw ``(height, width)`` in pixels, from 1 to `largest`, often at the borders of 8 and 16 pixel blocks."""
    blocks = [side + shift for side in range(8, largest + 1, 8) for shift in (-1, 0, 1) if side + shift <= largest]
    side = st.integers(1, largest) | st.sampled_from(blocks or [1])
    return st.tuples(side, side)


@st.composite
def jpegs(draw: st.DrawFn, *, largest: int = 100, baseline_420: bool = False) -> bytes:
    """Draw a sound JPEG.

    Parameters
    ----------
    largest : int
        Largest height and width in pixels.
    baseline_420 : bool
        Only what the published packages hold: baseline, 4:2:0, three components.
    """
    height, width = draw(image_sizes(largest=largest))
    options: dict[str, Any] = {"quality": draw(st.sampled_from([30, 75, 95]))}
    if not baseline_420:
        options["mode"] = draw(st.sampled_from(["RGB", "RGB", "L"]))
        options["subsampling"] = draw(st.sampled_from(["4:2:0", "4:2:2", "4:4:4"]))
        options["progressive"] = draw(st.booleans())
        options["optimize"] = draw(st.booleans())
    return texture_jpeg(draw(st.integers(0, 2**16)), height=height, width=width, **options)


@st.composite
def damaged_jpegs(draw: st.DrawFn, *, largest: int = 100) -> bytes:
    """Draw a JPEG with some bytes overwritten, removed, inserted or repeated, or cut short."""
    damaged = bytearray(draw(jpegs(largest=largest)))
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, max(0, len(damaged) - 1)))
        length = draw(st.integers(1, 16))
        kind = draw(st.sampled_from(["overwrite", "remove", "insert", "repeat", "cut"]))
        if kind == "cut":
            del damaged[place:]
        elif kind == "remove":
            del damaged[place : place + length]
        elif kind == "repeat":
            damaged[place:place] = damaged[place : place + length]
        else:
            new = draw(st.binary(min_size=1, max_size=length))
            damaged[place : place + (len(new) if kind == "overwrite" else 0)] = new
    return bytes(damaged)


@st.composite
def boxes_inside(draw: st.DrawFn, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Draw ``(top, left, height, width)`` inside an image of `size`, often touching its edges."""
    height, width = draw(_length(size[0])), draw(_length(size[1]))
    return draw(_start(size[0] - height)), draw(_start(size[1] - width)), height, width


def _length(most: int) -> st.SearchStrategy[int]:
    return st.integers(1, most) | st.just(most)


def _start(most: int) -> st.SearchStrategy[int]:
    return st.integers(0, most) | st.sampled_from([0, most])


def keys(*, min_size: int = 0, max_size: int = 30) -> st.SearchStrategy[list[str]]:
    """Draw distinct keys: some like process ids, some of any text but the empty one."""
    processid = st.from_regex(r"[A-Z]{4,5}[0-9]{3,4}-[0-9]{2}", fullmatch=True)
    # Surrogates are no UTF-8, and file names hold neither NUL nor "/".
    text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0/"), min_size=1, max_size=20)
    return st.lists(processid | text, min_size=min_size, max_size=max_size, unique=True)


def row_lists(n: int, *, max_size: int = 30) -> st.SearchStrategy[list[int]]:
    """Draw rows of a store of `n` records as a user may give them: in any order, repeated, negative."""
    return st.lists(st.integers(-n, n - 1), max_size=max_size) if n else st.just([])


def store_indices(n: int) -> st.SearchStrategy[list[int] | slice | npt.NDArray[Any]]:
    """Draw what may stand between the brackets for many records: a list, an array, a slice or a mask."""
    bound = st.none() | st.integers(-n - 3, n + 3)
    slices = st.builds(slice, bound, bound, st.none() | st.integers(-4, 4).filter(bool))
    masks = st.lists(st.booleans(), min_size=n, max_size=n).map(lambda mask: np.array(mask, np.bool_))
    arrays = row_lists(n).map(lambda rows: np.array(rows, np.int64))
    return st.one_of(row_lists(n), arrays, slices, masks)


def crop_options() -> st.SearchStrategy[dict[str, Any]]:
    """Draw keyword arguments of `Store.crops` that say what to cut."""
    return st.fixed_dictionaries(
        {
            "size": st.integers(1, 64) | st.tuples(st.integers(1, 64), st.integers(1, 64)),
            "mode": st.sampled_from(["random_resized", "random", "center"]),
            "flip": st.sampled_from([0.0, 0.5, 1.0]),
            "seed": st.integers(0, 2**64 - 1),
            "epoch": st.integers(0, 5),
        }
    )
