"""Records as arrays of one shape: batches of patches, and their memory maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from arraystore.errors import InvalidRequestError
from arraystore.reader.arguments import choice, switch
from arraystore.reader.indexing import Index, Rows
from arraystore.reader.table import RecordTable
from arraystore.threads import thread_count

if TYPE_CHECKING:
    from arraystore.reader.array_field import ArrayField

__all__ = ["ArrayRecords", "MapOrder"]

MapOrder = Literal["record", "item", "shard"]


class ArrayRecords(RecordTable):
    """Reading of fields of arrays, common to a store and its views."""

    def arrays(
        self,
        rows: Index,
        *,
        field: str | None = None,
        out: Any = None,
        verify: bool = True,
        threads: int | None = None,
    ) -> Any:
        """Read arrays of one shape, such as the patches of BioSR, into one array.

        Parameters
        ----------
        rows : slice, list, array or mask
            Rows or keys.
        field : str, optional
            Name of the field, such as ``"wf"``; all fields of arrays if not given.
        out : array, or mapping of str to array, optional
            Writable and C-contiguous, of the type and shape of the result, to be filled; made if not given.
        verify : bool, default True
            Compare each array with its checksum.
        threads : int, optional
            See `arraystore.threads.thread_count`.

        Returns
        -------
        ndarray, shape (n, ...)
            In the order asked, if `field` is given or there is only one: `out` itself, or a new array.
        dict of str to ndarray
            Of all fields.

        Raises
        ------
        InvalidRequestError
            If there is no such field, or `out` is no such array; nothing is written to it then.
        UnknownKeyError, IndexError
            If there is no such record.
        MissingImageError
            If a record has no array in a field.
        DamagedStoreError
            If one is not what was written. `out` then holds some of them.

        Examples
        --------
        >>> import arraystore
        >>> store = arraystore.open("biosr.zarr")
        >>> store.arrays([3, 1, 2], field="wf").shape
        (3, 128, 128)
        >>> sorted(store.arrays(slice(0, 8)))
        ['gt', 'wf']
        """
        return self._read_arrays(self._many(rows), field, out, verify=verify, threads=thread_count(threads))

    def item_rows(self, field: str | None = None) -> Rows:
        """Return which item of a field each record has.

        Items are numbered as they lie in ``memmap(field, by="item")``. Several records may share one: in BioSR nine
        widefields have the same ground truth.

        Parameters
        ----------
        field : str, optional
            Name of the field; the only one of arrays if not given.

        Returns
        -------
        ndarray of int64, shape (n,)
            -1 for a record without one.

        Raises
        ------
        InvalidRequestError
            If there is no such field, or `field` is not given and there are several.
        """
        item = self.handle.array_field(self._field_name("array", field)).item
        return item.copy() if self._store_rows is None else item[self._store_rows]

    def memmap(self, field: str | None = None, *, by: MapOrder = "record") -> Any:
        """Map the arrays of a field into memory: nothing is read or copied before it is used, and nothing is checked.

        An array whose ``status`` is not sound is zeros here.

        Parameters
        ----------
        field : str, optional
            Name of the field; the only one of arrays if not given.
        by : {"record", "item", "shard"}
            - ``"record"``: array ``i`` is that of record ``i`` of this store or view. It is there if the records have
              consecutive items, as those of the main field have, and those of ``select(split="train")`` in any.
            - ``"item"``: all items of the store in the order in which they lie; `item_rows` says which of them a record
              has.
            - ``"shard"``: the same as a list, of one array for each file.

        Returns
        -------
        numpy.memmap, shape (n, ...), or list of them
            Read-only.

        Raises
        ------
        InvalidRequestError
            If there is no such map (code ``not-one-map``): the items are compressed, or lie in several files, or in
            another order than the records. The message says what to use instead.
        DamagedStoreError
            If a file is missing or cut short.

        Examples
        --------
        >>> import arraystore
        >>> store = arraystore.open("biosr.zarr")
        >>> store.memmap("wf").shape == (len(store), 128, 128)
        True
        >>> train = store.select(split="train")
        >>> train.memmap("gt").shape == (len(train), 128, 128)
        True
        """
        choice("by", by, get_args(MapOrder))
        stored = self.handle.array_field(self._field_name("array", field))
        maps = stored.maps()
        if by == "shard":
            return maps
        if by == "item":
            return self._one_map(stored, maps, 0, stored.stored.count)
        items = self.item_rows(stored.spec.name)
        first = int(items[0]) if len(items) else 0
        if first < 0 or not np.array_equal(items, np.arange(first, first + len(items))):
            raise InvalidRequestError(_no_order(stored.spec.name, items), "not-one-map")
        return self._one_map(stored, maps, first, len(items))

    def _one_map(self, stored: ArrayField, maps: list[npt.NDArray[Any]], first: int, count: int) -> npt.NDArray[Any]:
        if count == 0:
            return np.empty((0, *stored.spec.shape), stored.dtype)
        shard, within = divmod(first, stored.stored.shard_items)
        if within + count > stored.stored.shard_items:
            name = stored.spec.name
            raise InvalidRequestError(
                f"{name} lies in {len(maps)} files of up to {stored.stored.shard_items} arrays: "
                f'store.memmap({name!r}, by="shard") is a list of a map for each; an ingest without shard_nbytes makes '
                "one",
                "not-one-map",
            )
        return maps[shard][within : within + count]

    def _read_arrays(self, rows: Rows, field: str | None, out: Any, *, verify: bool, threads: int) -> Any:
        names = self._array_names()
        checked = switch("verify", verify)
        if field is not None or len(names) == 1:
            name = self._field_name("array", field)
            given = out.get(name) if isinstance(out, Mapping) else out
            return self._fill_arrays(rows, {name: given}, verify=checked, threads=threads)[name]
        if not names:
            # Says which fields there are.
            self._field_name("array", None)
        if out is not None and (not isinstance(out, Mapping) or set(out) != set(names)):
            raise InvalidRequestError(f"out: expected a mapping with an array for each of {', '.join(names)}")
        return self._fill_arrays(rows, {name: out and out[name] for name in names}, verify=checked, threads=threads)

    def _fill_arrays(self, rows: Rows, outs: Mapping[str, Any], *, verify: bool, threads: int) -> dict[str, Any]:
        fields = {name: self.handle.array_field(name) for name in outs}
        # All are checked before any is written to.
        filled = {name: fields[name].array(len(rows), out) for name, out in outs.items()}
        for name, array in filled.items():
            fields[name].gather(rows, array, verify=verify, threads=threads)
        return {name: filled[name] if out is None else out for name, out in outs.items()}

    def _array_names(self) -> list[str]:
        return [field.name for field in self.handle.spec.fields if field.kind == "array"]

    def _field_name(self, kind: str, wanted: str | None) -> str:
        fields = self.handle.spec.fields
        names = [field.name for field in fields if field.kind == kind]
        if wanted in names:
            return str(wanted)
        if wanted is None and len(names) == 1:
            return names[0]
        if wanted is None and names:
            problem = f"name the {kind} field: the store has {', '.join(names)}"
        elif names:
            problem = f"{kind} field {wanted!r}: the store has {', '.join(names)}"
        else:
            what = {"jpeg": "images", "text": "texts", "array": "arrays"}[kind]
            there = ", ".join(f"{field.name} ({field.kind})" for field in fields)
            advice = "; arrays are read with store[...], store.arrays and store.memmap" if self._array_names() else ""
            problem = f"the store has no {what}: its fields are {there}{advice}"
        raise InvalidRequestError(problem, "unknown-field")

    def _many(self, index: Any) -> Rows:
        return np.ascontiguousarray(self.to_store_rows(self.rows(index)))


def _no_order(name: str, items: Rows) -> str:
    lacking = int((items < 0).sum())
    why = (
        f"{lacking} of the records have none"
        if lacking
        else "several records share one"
        if len(np.unique(items)) < len(items)
        else "the records are in another order"
    )
    return (
        f"{name} has no map in the order of these records, since {why}: take those of one split or level, such as "
        f'store.select(split="train").memmap({name!r}), or all items, store.memmap({name!r}, by="item"), with '
        f"store.item_rows({name!r})"
    )
