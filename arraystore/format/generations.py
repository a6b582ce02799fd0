"""Which files of a Zarr store belong to which of its states: the present one, those before, and one in the making."""

from __future__ import annotations

from collections.abc import Callable

from arraystore.errors import FormatError
from arraystore.format.arrays import CHUNKS
from arraystore.format.base import COLUMNS, KEY
from arraystore.format.spec import StoreSpec
from arraystore.format.zarr import GENERATIONS, WORK_DIRECTORY, ZarrLayout


def generation_of(name: str, spec: StoreSpec) -> int | None:
    """Return the generation that a file of index arrays, keys or columns belongs to.

    Parameters
    ----------
    name : str
        Path in the store.
    spec : StoreSpec
        Of the store.

    Returns
    -------
    int or None
        None for all that no generation has for itself, such as the `data` of fields, or that is not ours.
    """
    group, _, rest = name.partition("/")
    if group == GENERATIONS:
        number = rest.partition("/")[0]
        return int(number) if number.isascii() and number.isdigit() and number != rest else None
    if group in (KEY, COLUMNS):
        return 0
    is_own = any(group == field.name for field in spec.fields) and not rest.startswith("data/")
    # The document of the group of a field serves all generations.
    return 0 if is_own and "/" in rest else None


def other_states(layout: ZarrLayout) -> Callable[[str], bool]:
    """Return what tells of a file whether it belongs to another state of the store than the present one.

    That is the state before, which open readers may be reading, and what an append that is not finished has written.

    Parameters
    ----------
    layout : ZarrLayout
        The present state.

    Returns
    -------
    callable
        Of a path in the store.
    """
    spec = layout.spec
    known = {spec.generation - 1} if spec.generation else set()
    is_growing = (layout.path / WORK_DIRECTORY).is_dir()
    if is_growing:
        known |= {spec.generation + 1, *range(spec.generation)}
    names = [each.name for each in spec.fields]

    def is_of_another_state(name: str) -> bool:
        if generation_of(name, spec) in known:
            return True
        group, _, rest = name.partition("/")
        if not is_growing:
            return False
        if group not in names:
            # A field that the store has not had before.
            return name == f"{GENERATIONS}/zarr.json" or rest in ("zarr.json", "data/zarr.json") or _shard(rest) >= 0
        return _shard(rest) >= _shard_count(layout, group)

    return is_of_another_state


def shards_behind(layout: ZarrLayout, name: str) -> bool:
    """Tell whether a file is a shard of `data`, finished or not, that the present state does not have."""
    group, _, rest = name.partition("/")
    if all(group != field.name for field in layout.spec.fields):
        return False
    return _shard(rest) >= _shard_count(layout, group)


def _shard(rest: str) -> int:
    """Return the number of a shard by its path below its field, or -1."""
    number = rest.removeprefix(f"data/{CHUNKS}/").removesuffix(".partial")
    return int(number) if rest.startswith(f"data/{CHUNKS}/") and number.isascii() and number.isdigit() else -1


def _shard_count(layout: ZarrLayout, group: str) -> int:
    try:
        return layout.form(f"{group}/data").shard_count
    except FormatError:
        return 0
