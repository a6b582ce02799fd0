"""Records as images, texts and DNA codes: single ones, batches, boxes and crops."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, overload

import numpy as np
import numpy.typing as npt

from arraystore import _core
from arraystore.errors import FormatError, InvalidRequestError
from arraystore.reader.arguments import switch
from arraystore.reader.arrays import ArrayRecords
from arraystore.reader.crops import (
    CropBatch,
    CropMode,
    CropPolicy,
    Layout,
    OutputForm,
    Size,
    box_array,
    size_pair,
)
from arraystore.reader.indexing import Index, Many, One, Rows, is_single, single_row
from arraystore.threads import thread_count

__all__ = ["Pixels", "Records"]

Pixels = npt.NDArray[np.uint8]


class Records(ArrayRecords):
    """Reading of images and texts, common to a store and its views."""

    def __getitem__(self, index: Any) -> Any:
        """Decode one image, or many; or read the arrays of one record, or of many.

        Parameters
        ----------
        index : int or str; slice, list, array or mask
            A row (negative from the end) or a key; or many of them.

        Returns
        -------
        ndarray of uint8, shape (height, width, 3), or list of them
            RGB, in the order asked.
        dict of str to ndarray
            Of a store of arrays, those of each field by its name: of one record, or of many in the order asked. The
            array alone if there is one field.

        Raises
        ------
        UnknownKeyError, IndexError
            If there is no such record.
        MissingImageError
            If the record has no image, or lacks one of its arrays.
        DecodeError
            If the image cannot be decoded.
        DamagedStoreError
            If its bytes are not those that were written.
        """
        if isinstance(index, tuple):
            raise IndexError("a store has one dimension: put rows or keys in a list")
        if self._holds_arrays():
            return self._arrays_at(index)
        if is_single(index):
            return self._decode(self._one(index), verify=True, threads=1)[0]
        return self.read(index)

    def _holds_arrays(self) -> bool:
        return bool(self._array_names()) and all(field.kind in ("array", "text") for field in self.handle.spec.fields)

    def _arrays_at(self, index: Any) -> Any:
        if not is_single(index):
            return self.arrays(index)
        found = self._read_arrays(self._one(index), None, None, verify=True, threads=1)
        return {name: array[0] for name, array in found.items()} if isinstance(found, dict) else found[0]

    def __iter__(self) -> Iterator[Any]:
        return (self[row] for row in range(len(self)))

    def read(self, rows: Index, *, verify: bool = True, threads: int | None = None) -> list[Pixels]:
        """Decode whole images.

        Parameters
        ----------
        rows : slice, list, array or mask
            Rows or keys.
        verify : bool, default True
            Compare the bytes of each image with their checksum.
        threads : int, optional
            See `arraystore.threads.thread_count`.

        Returns
        -------
        list of ndarray of uint8, shape (height, width, 3)
            RGB, in the order asked.

        Raises
        ------
        UnknownKeyError, IndexError, MissingImageError, DecodeError, DamagedStoreError
            As for ``store[...]``; that of the first record that fails.
        """
        return self._decode(self._many(rows), verify=verify, threads=thread_count(threads))

    @overload
    def jpeg(self, index: One, *, verify: bool = True) -> bytes: ...
    @overload
    def jpeg(self, index: Many, *, verify: bool = True) -> list[bytes]: ...
    def jpeg(self, index: Any, *, verify: bool = True) -> bytes | list[bytes]:
        """Return the original bytes of one image, or of many.

        Parameters
        ----------
        index : int or str; slice, list, array or mask
            A row or a key; or many of them.
        verify : bool, default True
            Compare the bytes of each image with their checksum.

        Returns
        -------
        bytes, or list of bytes
            As they were in the source, to the last byte. Of a source that had pixels and no JPEG, a binary PPM or PGM
            of them (``P6`` or ``P5``).

        Raises
        ------
        UnknownKeyError, IndexError, MissingImageError, DamagedStoreError
            As for ``store[...]``.
        """
        fetched = self._bytes(self._image_field(), self._one_or_many(index), verify=verify)
        jpegs = [bytes_ or b"" for bytes_ in fetched]
        return jpegs[0] if is_single(index) else jpegs

    @overload
    def text(self, index: One, *, field: str | None = None, verify: bool = True) -> str | None: ...
    @overload
    def text(
        self,
        index: Many,
        *,
        field: str | None = None,
        verify: bool = True,
    ) -> list[str | None]: ...
    def text(self, index: Any, *, field: str | None = None, verify: bool = True) -> str | list[str | None] | None:
        """Return the text of one record, or of many.

        Parameters
        ----------
        index : int or str; slice, list, array or mask
            A row or a key; or many of them.
        field : str, optional
            Name of the text field, such as ``"dna_barcode"``; the only one if not given.
        verify : bool, default True
            Compare each text with its checksum.

        Returns
        -------
        str or None, or list of them
            None where the text is missing.

        Raises
        ------
        InvalidRequestError
            If there is no such field, or `field` is not given and there are several.
        UnknownKeyError, IndexError, DamagedStoreError
            As for ``store[...]``.
        FormatError
            If it is not UTF-8.
        """
        name, rows = self._field_name("text", field), self._one_or_many(index)
        fetched = self._bytes(self.handle.field(name), rows, verify=verify)
        texts = [self._decode_text(name, row, bytes_) for row, bytes_ in zip(rows, fetched, strict=True)]
        return texts[0] if is_single(index) else texts

    def dna(
        self,
        rows: Index,
        *,
        length: int = 660,
        alphabet: str = "ACGTN",
        field: str | None = None,
        out: Any = None,
        verify: bool = True,
    ) -> Any:
        """Return DNA as one array of codes, for training.

        Parameters
        ----------
        rows : slice, list, array or mask
            Rows or keys.
        length : int, default 660
            Codes of each record, up to ``2**20``. What is longer is cut.
        alphabet : str, default "ACGTN"
            The code of a letter is its position here, in lower as in upper case. ASCII, each letter once. Any other
            letter has the code of ``N``, or 255 if that is not in the alphabet.
        field : str, optional
            Name of the text field, such as ``"dna_barcode"``; the only one if not given.
        out : array of uint8, shape (n, length), optional
            Writable, to be filled; a new one is made if not given.
        verify : bool, default True
            Compare each text with its checksum.

        Returns
        -------
        ndarray of uint8, shape (n, length)
            `out` itself, or a new array. After the end of a text, and all along where it is missing, the code is
            ``len(alphabet)``.

        Raises
        ------
        InvalidRequestError
            If an argument is wrong, there is no such field, or `field` is not given and there are several; nothing is
            written to `out` then.
        UnknownKeyError, IndexError, DamagedStoreError
            As for ``store[...]``. `out` then holds some of the codes.
        """
        from arraystore.reader.dna import DnaForm

        form, stored = DnaForm(length, alphabet), self.handle.field(self._field_name("text", field))
        chosen = self._many(rows)
        array = form.array(len(chosen), out)
        # The core fills memory without gaps.
        filled = array if array.flags.c_contiguous else np.empty_like(array, order="C")
        stored.encode_letters(
            chosen,
            filled,
            codes=form.codes(),
            padding=form.padding,
            length=form.length,
            verify=switch("verify", verify),
        )
        if filled is not array:
            array[:] = filled
        return array if out is None else out

    def sizes(self, rows: Index = slice(None), *, threads: int | None = None) -> npt.NDArray[np.int64]:
        """Return the sizes of images; no pixel is decoded.

        A store knows them. Of a source that is opened as it is, the headers of these images are read.

        Parameters
        ----------
        rows : slice, list, array or mask, default all
            Rows or keys.
        threads : int, optional
            See `arraystore.threads.thread_count`.

        Returns
        -------
        ndarray of int64, shape (n, 2)
            ``(height, width)`` in pixels; zeros where there is no image that could be decoded.
        """
        sizes = np.asarray(self._image_field().sizes(self._many(rows), threads=thread_count(threads)))
        return sizes.reshape(-1, 2).astype(np.int64)

    @property
    def status(self) -> npt.NDArray[np.uint8]:
        """Why each image can or cannot be decoded, 0 if it is sound: ndarray of uint8, shape (n,).

        The codes are those of `arraystore.format.spec.Status`. Of a source that is opened as it is, no image has been
        checked: 0 is then any image with bytes. Of a store of arrays, it is that of the first array of a record that is
        not sound.
        """
        if self._holds_arrays():
            from arraystore.format.items import worst_status

            fields = [self.handle.array_field(name) for name in self._array_names()]
            return worst_status([(self.item_rows(each.spec.name), each.status) for each in fields])
        status = self.handle.numbers(self._field_name("jpeg", None), "status")
        taken = status if self._store_rows is None else status[self._store_rows]
        return taken.astype(np.uint8, copy=False)

    def read_boxes(
        self,
        rows: Index,
        boxes: npt.ArrayLike,
        *,
        size: Size | None = None,
        out: Any = None,
        dtype: Literal["uint8", "float32"] | None = None,
        layout: Layout = "NHWC",
        mean: Sequence[float] | float | None = None,
        std: Sequence[float] | float | None = None,
        verify: bool = True,
        threads: int | None = None,
    ) -> Any:
        """Decode one given box of each image.

        Parameters
        ----------
        rows : slice, list, array or mask
            Rows or keys.
        boxes : array_like of int, shape (n, 4)
            ``(top, left, height, width)`` in pixels of the stored images.
        size : int or tuple of int, optional
            ``(height, width)`` to which each box is resized (antialiased bilinear); as they are if not given.
        out, dtype, layout, mean, std
            As for `crops`; only with `size`.
        verify : bool, default True
            Compare the bytes of each image with their checksum.
        threads : int, optional
            See `arraystore.threads.thread_count`.

        Returns
        -------
        list of ndarray of uint8, shape (height, width, 3)
            Without `size`: equal to the boxes cut from the whole images.
        ndarray, shape (n, height, width, 3) or (n, 3, height, width)
            With `size`.

        Raises
        ------
        InvalidRequestError
            If a box is not inside its image (the message names the record), or an argument is wrong.
        UnknownKeyError, IndexError, MissingImageError, DecodeError, DamagedStoreError
            As for ``store[...]``. `out` then holds some of the boxes.
        """
        chosen = self._many(rows)
        given = box_array(boxes, len(chosen))
        count = thread_count(threads)
        if size is not None:
            form = OutputForm(size_pair(size), dtype, layout, mean, std)
            policy = {**CropPolicy().core_arguments(), "policy": "boxes", "boxes": given}
            return self._fill(chosen, form, out, policy, verify=verify, threads=count)
        if out is not None or dtype == "float32" or layout != "NHWC" or mean is not None or std is not None:
            raise InvalidRequestError("out, dtype, layout, mean and std need a size: boxes as they are differ in size")
        checked = switch("verify", verify)
        decoded = self._image_field().decode_boxes(chosen, given, verify=checked, threads=count)
        return [np.asarray(pixels) for pixels in decoded]

    def crops(
        self,
        rows: Index,
        size: Size = 224,
        *,
        mode: CropMode = "random_resized",
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        flip: float = 0.0,
        seed: int = 0,
        epoch: int = 0,
        out: Any = None,
        dtype: Literal["uint8", "float32"] | None = None,
        layout: Layout = "NHWC",
        mean: Sequence[float] | float | None = None,
        std: Sequence[float] | float | None = None,
        return_boxes: bool = False,
        verify: bool = True,
        threads: int | None = None,
    ) -> Any:
        """Cut one crop out of each image and resize it, into one array.

        The crop of a record depends on `seed`, `epoch` and its row in the store alone: not on the batch, the order of
        the rows, the view or the number of threads.

        Parameters
        ----------
        rows : slice, list, array or mask
            Rows or keys.
        size : int or tuple of int, default 224
            ``(height, width)`` of the crops in pixels; an integer for a square.
        mode : {"random_resized", "random", "center"}
            - ``"random_resized"``: torchvision's `RandomResizedCrop`: a box of random area and aspect ratio.
            - ``"random"``: torchvision's `RandomCrop`: a box of `size` at a random place.
            - ``"center"``: torchvision's `CenterCrop`: a box of `size` in the middle.

            Nothing is padded: where an image is smaller than `size`, ``"random"`` and ``"center"`` take the largest
            box of the aspect ratio of `size` and resize it.
        scale, ratio : tuple of float
            Of ``"random_resized"``: bounds of the share of the image's area, and of width / height.
        flip : float, default 0
            Probability that a crop is mirrored left to right.
        seed, epoch : int
            From 0 to ``2**64 - 1``.
        out : array, optional
            Writable and C-contiguous, to be filled; a new one is made if not given.
        dtype : {"uint8", "float32"}, optional
            That of `out`, or uint8, if not given. float32 is in 0..1 before `mean` and `std`.
        layout : {"NHWC", "NCHW"}
            Shape of the result: ``(n, height, width, 3)`` or ``(n, 3, height, width)``.
        mean, std : sequence of 3 float, or float, optional
            For float32: the result is ``(value / 255 - mean) / std``, channels in the order R, G, B.
        return_boxes : bool, default False
            Also return what was cut.
        verify : bool, default True
            Compare the bytes of each image with their checksum.
        threads : int, optional
            See `arraystore.threads.thread_count`.

        Returns
        -------
        ndarray
            `out` itself, or a new array.
        CropBatch
            With `return_boxes`: ``(pixels, boxes, flips)``.

        Raises
        ------
        InvalidRequestError
            If an argument is wrong; nothing is written to `out` then.
        UnknownKeyError, IndexError, MissingImageError, DecodeError, DamagedStoreError
            As for ``store[...]``; that of the first record that fails. `out` then holds some of the crops.
        """
        chosen = self._many(rows)
        policy = CropPolicy(mode, scale, ratio, flip, seed, epoch).core_arguments()
        form = OutputForm(size_pair(size), dtype, layout, mean, std)
        count = thread_count(threads)
        if not switch("return_boxes", return_boxes):
            return self._fill(chosen, form, out, policy, verify=verify, threads=count)
        boxes = np.zeros((len(chosen), 4), np.int64)
        flips = np.zeros(len(chosen), np.uint8)
        reported = {**policy, "boxes_out": boxes, "flips_out": flips}
        pixels = self._fill(chosen, form, out, reported, verify=verify, threads=count)
        return CropBatch(pixels, boxes, flips.view(np.bool_))

    def _fill(
        self, store_rows: Rows, form: OutputForm, out: Any, policy: dict[str, Any], *, verify: bool, threads: int
    ) -> Any:
        array = form.array(len(store_rows), out)
        arguments = {"boxes_out": None, "flips_out": None, **policy, **form.core_arguments(array)}
        self._image_field().crops(store_rows, array, **arguments, verify=switch("verify", verify), threads=threads)
        return array if out is None else out

    def _decode(self, store_rows: Rows, *, verify: bool, threads: int) -> list[Pixels]:
        decoded = self._image_field().decode(store_rows, verify=switch("verify", verify), threads=threads)
        return [np.asarray(pixels) for pixels in decoded]

    def _bytes(self, field: _core.Field, store_rows: Rows, *, verify: bool) -> list[bytes | None]:
        return list(field.fetch(store_rows, verify=switch("verify", verify)))

    def _decode_text(self, field: str, store_row: np.int64, utf8: bytes | None) -> str | None:
        try:
            return utf8.decode() if utf8 else None
        except UnicodeDecodeError as error:
            raise FormatError(f"{field} of row {store_row} is not UTF-8: {error}") from error

    def _image_field(self) -> _core.Field:
        return self.handle.field(self._field_name("jpeg", None))

    def _one(self, index: Any) -> Rows:
        return self.to_store_rows(np.array([single_row(index, len(self), self.find)], np.int64))

    def _one_or_many(self, index: Any) -> Rows:
        return self._one(index) if is_single(index) else self._many(index)
