from collections.abc import Callable, Sequence
from typing import Any, TypeAlias, final

import numpy.typing as npt
from typing_extensions import Buffer as _Buffer

# For Python 3.11, NumPy's own types do not say that an array has the buffer protocol.
_ReadableBuffer: TypeAlias = _Buffer | npt.NDArray[Any]

__version__: str

# A logical byte array in pieces of equal size: [(path, offset in that file)], bytes per piece, bytes in all.
_Pieces: TypeAlias = tuple[list[tuple[str, int]], int, int]
# Called about ten times a second with (records done, bytes done); an exception from it stops the work.
_Progress: TypeAlias = Callable[[int, int], None]

@final
class Buffer:
    @property
    def shape(self) -> list[int]: ...
    def __len__(self) -> int: ...
    def __buffer__(self, flags: int, /) -> memoryview: ...

@final
class Strings:
    def __new__(cls, data: _ReadableBuffer, offsets: _ReadableBuffer) -> Strings: ...
    @staticmethod
    def from_list(values: Sequence[str]) -> Strings: ...
    def __len__(self) -> int: ...
    def __getitem__(self, index: int, /) -> str: ...
    @property
    def data(self) -> Buffer: ...
    @property
    def offsets(self) -> Buffer: ...
    def take(self, indices: _ReadableBuffer) -> Strings: ...
    def crc32c(self) -> Buffer: ...
    def to_list(self, start: int = 0, stop: int | None = None) -> list[str]: ...

# ---- sources ----

@final
class Members:
    @staticmethod
    def of_file(
        path: str,
        *,
        directories: Sequence[str],
        directory: _ReadableBuffer,
        names: Strings,
        encoding: _ReadableBuffer,
        offset: _ReadableBuffer,
        nbytes: _ReadableBuffer,
        height: _ReadableBuffer,
        width: _ReadableBuffer,
        skipped: Sequence[tuple[str, str]],
    ) -> Members: ...
    def __len__(self) -> int: ...
    @property
    def sources(self) -> list[str]: ...
    @property
    def directories(self) -> list[str]: ...
    @property
    def suffixes(self) -> list[str]: ...
    @property
    def directory(self) -> Buffer: ...
    @property
    def suffix(self) -> Buffer: ...
    @property
    def hidden(self) -> Buffer: ...
    @property
    def nbytes(self) -> Buffer: ...
    @property
    def height(self) -> Buffer: ...
    @property
    def width(self) -> Buffer: ...
    @property
    def source(self) -> Buffer: ...
    @property
    def offset(self) -> Buffer: ...
    @property
    def stored_nbytes(self) -> Buffer: ...
    @property
    def encoding(self) -> Buffer: ...
    @property
    def crc32(self) -> Buffer: ...
    @property
    def stems(self) -> Strings: ...
    @property
    def folders(self) -> list[str]: ...
    def paths_below(self, indices: _ReadableBuffer) -> Strings: ...
    @property
    def skipped(self) -> list[tuple[str, str]]: ...
    def fingerprint(self, indices: _ReadableBuffer) -> int: ...
    def path(self, index: int) -> str: ...
    def read(self, index: int) -> bytes: ...
    def extents(self, indices: _ReadableBuffer) -> Extents: ...
    def spilled_to(self, path: str, indices: _ReadableBuffer, offset: _ReadableBuffer) -> None: ...
    def check_unchanged(self) -> None: ...

def join_members(parts: Sequence[Members]) -> Members: ...
def scan(paths: Sequence[str], *, progress: _Progress | None = None) -> Members: ...

@final
class Extents:
    def __len__(self) -> int: ...
    @staticmethod
    def in_file(path: str, offset: _ReadableBuffer, nbytes: _ReadableBuffer) -> Extents: ...
    @staticmethod
    def of_field(field: Field, rows: _ReadableBuffer) -> Extents: ...
    @staticmethod
    def of_items(field: ArrayField, items: _ReadableBuffer, rows: _ReadableBuffer) -> Extents: ...
    @staticmethod
    def chain(tables: Sequence[Extents]) -> Extents: ...
    def take(self, indices: _ReadableBuffer) -> Extents: ...
    def name(self, index: int) -> str: ...

def differing(one: Extents, other: Extents, *, threads: int, progress: _Progress | None = None) -> Buffer: ...

@final
class Table:
    def __len__(self) -> int: ...
    @property
    def names(self) -> list[str]: ...
    def strings(self, name: str) -> Strings: ...
    def codes(self, name: str) -> Buffer: ...
    def categories(self, name: str) -> list[str]: ...
    def floats(self, name: str) -> Buffer: ...
    def integers(self, name: str) -> tuple[Buffer, Buffer]: ...
    def text(self, name: str) -> tuple[str, Buffer, Buffer]: ...

def read_table(
    path: str,
    columns: Sequence[tuple[str, str]],
    *,
    delimiter: str = ",",
    missing: Sequence[str] = ...,
    spill: str | None = None,
    progress: _Progress | None = None,
) -> Table: ...
def read_json_table(
    path: str,
    columns: Sequence[tuple[str, str]],
    *,
    others: str | None = None,
    missing: Sequence[str] = ...,
    spill: str | None = None,
    progress: _Progress | None = None,
) -> Table: ...

# ---- keys ----

def index_keys(keys: Strings) -> tuple[Buffer, Buffer, Buffer]: ...
def match_keys(keys: Strings, wanted: Strings) -> Buffer: ...

# ---- writing ----

@final
class PackResult:
    @property
    def nbytes(self) -> Buffer: ...
    @property
    def height(self) -> Buffer: ...
    @property
    def width(self) -> Buffer: ...
    @property
    def crc32c(self) -> Buffer: ...
    @property
    def status(self) -> Buffer: ...
    @property
    def details(self) -> list[tuple[int, str]]: ...
    @property
    def shards_written(self) -> int: ...
    @property
    def shards_kept(self) -> int: ...

def pack(
    extents: Extents,
    place: _ReadableBuffer,
    nbytes: _ReadableBuffer,
    *,
    journal: str,
    total_nbytes: int,
    shard_nbytes: int,
    fingerprint: int,
    check: str,
    threads: int,
    directory: str | None = None,
    chunk_nbytes: int | None = None,
    file: str | None = None,
    offset: int | None = None,
    first_shard: int = 0,
    seek: bool | None = None,
    tiff: tuple[str, tuple[int, int]] | None = None,
    progress: _Progress | None = None,
) -> PackResult: ...
def gather_tables(
    path: str, *, before: str | None, journal: str, shards: tuple[int, int], total: int, order: _ReadableBuffer
) -> bool: ...
def write_sharded(
    data: _ReadableBuffer, *, directory: str, shard_nbytes: int, chunk_nbytes: int
) -> list[tuple[str, int]]: ...
def file_crc32c(path: str, *, offset: int = 0, nbytes: int | None = None) -> int: ...
def release_memory() -> None: ...
def crc32c(data: bytes, initial: int = 0) -> int: ...

# ---- export ----

def file_paths(names: Strings, directory: _ReadableBuffer, directories: Sequence[str]) -> Strings: ...
def write_tree(
    extents: Extents, paths: Strings, root: str, *, threads: int, progress: _Progress | None = None
) -> None: ...
def write_zip(
    extents: Extents,
    nbytes: _ReadableBuffer,
    paths: Strings,
    file: str,
    *,
    threads: int,
    progress: _Progress | None = None,
) -> None: ...

# Name, kind, values and what belongs to them: ("texts", Strings, None), ("labels", int32, list of str),
# ("integers", int64, uint8 mask), ("floats", float64, None) or ("rows", rows, Field).
_Cells: TypeAlias = tuple[str, str, Any, Any]

def write_table(columns: Sequence[_Cells], file: str, *, delimiter: str, progress: _Progress | None = None) -> None: ...

# ---- patches ----

def tiff_form(file: bytes) -> tuple[tuple[str, tuple[int, int]] | None, str]: ...

# ---- JPEGs of no store ----

# Boxes are (top, left, height, width). The pixels; or number, code and problem of the first chunk that failed.
def decode_chunks(
    jpegs: Sequence[bytes],
    boxes: Sequence[tuple[int, int, int, int]],
    *,
    size: tuple[int, int],
    fill: int,
    threads: int,
) -> tuple[list[Buffer], tuple[int, str, str] | None]: ...

# Height, width and the problem, if there is one.
def jpeg_size(jpeg: bytes) -> tuple[int, int, str | None]: ...

# ---- reading ----

@final
class Keys:
    def __new__(
        cls,
        n: int,
        data: _Pieces,
        offset: _Pieces,
        nbytes: _Pieces,
        crc32c: _Pieces,
        hash: _Pieces,
        row: _Pieces,
    ) -> Keys: ...
    def __len__(self) -> int: ...
    def get(self, row: int) -> str: ...
    def take(self, rows: _ReadableBuffer) -> Strings: ...
    def find(self, keys: Sequence[str]) -> Buffer: ...

@final
class Field:
    def __new__(
        cls,
        name: str,
        n: int,
        *,
        data: _Pieces,
        offset: _Pieces,
        nbytes: _Pieces,
        crc32c: _Pieces | None = None,
        height: _Pieces | None = None,
        width: _Pieces | None = None,
        status: _Pieces | None = None,
        keys: Keys | None = None,
        seek: str | None = None,
    ) -> Field: ...
    @staticmethod
    def elsewhere(
        name: str,
        n: int,
        *,
        sources: Sequence[tuple[str, tuple[int, int] | None]],
        source: _Pieces,
        offset: _Pieces,
        stored_nbytes: _Pieces,
        nbytes: _Pieces,
        encoding: _Pieces,
        crc32: _Pieces,
        height: _Pieces,
        width: _Pieces,
        status: _Pieces,
        path: Field | None = None,
        keys: Keys | None = None,
        seek: str | None = None,
    ) -> Field: ...
    def write_seek(
        self,
        path: str,
        *,
        compare: bool,
        threads: int,
        progress: Callable[[int, int], None] | None = None,
    ) -> tuple[int, int, int]: ...
    def has_seek(self) -> bool: ...
    def __len__(self) -> int: ...
    def offsets(self) -> Buffer: ...
    def places(self) -> Buffer: ...
    def encoding(self) -> Buffer: ...
    def checksums(self) -> Buffer: ...
    def nbytes(self) -> Buffer: ...
    def status(self) -> Buffer: ...
    def sizes(self, rows: _ReadableBuffer, *, threads: int) -> Buffer: ...
    def fetch(self, rows: _ReadableBuffer, *, verify: bool) -> list[bytes | None]: ...
    def encode_letters(
        self, rows: _ReadableBuffer, out: _ReadableBuffer, *, codes: bytes, padding: int, length: int, verify: bool
    ) -> None: ...
    def decode(self, rows: _ReadableBuffer, *, verify: bool, threads: int) -> list[Buffer]: ...
    def decode_boxes(
        self, rows: _ReadableBuffer, boxes: _ReadableBuffer, *, verify: bool, threads: int
    ) -> list[Buffer]: ...
    def crops(
        self,
        rows: _ReadableBuffer,
        out: _ReadableBuffer,
        *,
        policy: str,
        size: tuple[int, int],
        scale: tuple[float, float],
        ratio: tuple[float, float],
        flip: float,
        seed: int,
        epoch: int,
        boxes: _ReadableBuffer | None,
        boxes_out: _ReadableBuffer | None,
        flips_out: _ReadableBuffer | None,
        channels_first: bool,
        normalise: tuple[tuple[float, float, float], tuple[float, float, float]] | None,
        verify: bool,
        threads: int,
    ) -> None: ...
    def check(self, start: int, stop: int, *, threads: int) -> list[tuple[int, str, str]]: ...

@final
class ArrayField:
    def __new__(
        cls,
        name: str,
        n: int,
        *,
        count: int,
        item_nbytes: int,
        files: list[tuple[str, int]],
        shard_items: int,
        codec: str | None,
        row: _Pieces,
        crc32c: _Pieces,
        status: _Pieces,
        keys: Keys | None = None,
    ) -> ArrayField: ...
    def __len__(self) -> int: ...
    def row(self) -> Buffer: ...
    def checksums(self) -> Buffer: ...
    def status(self) -> Buffer: ...
    def gather(self, rows: _ReadableBuffer, out: _ReadableBuffer, *, verify: bool, threads: int) -> None: ...
    def stored(self, rows: _ReadableBuffer) -> list[bytes]: ...
    def stored_item(self, item: int) -> bytes: ...
    def compare(self, rows: _ReadableBuffer, items: _ReadableBuffer) -> None: ...
    def check_bytes(self, item: int, data: bytes) -> None: ...
    def check(self, start: int, stop: int, *, threads: int) -> list[tuple[int, str, str]]: ...

# ---- reading ahead ----

@final
class Queue:
    def __new__(cls, threads: int) -> Queue: ...
    def crops(
        self,
        field: Field,
        rows: _ReadableBuffer,
        out: _ReadableBuffer,
        *,
        keys: _ReadableBuffer | None,
        policy: str,
        size: tuple[int, int],
        scale: tuple[float, float],
        ratio: tuple[float, float],
        flip: float,
        seed: int,
        epoch: int,
        views: int,
        channels_first: bool,
        normalise: tuple[tuple[float, float, float], tuple[float, float, float]] | None,
        verify: bool,
    ) -> Job: ...
    # Of each field: itself, height and width, bytes of an element, and the memory to fill.
    def patches(
        self,
        fields: Sequence[tuple[ArrayField, tuple[int, int], int, _ReadableBuffer]],
        rows: _ReadableBuffer,
        *,
        keys: _ReadableBuffer | None,
        size: tuple[int, int] | None,
        center: bool,
        flip: float,
        turn: bool,
        seed: int,
        epoch: int,
        verify: bool,
    ) -> Job: ...
    def close(self) -> None: ...

@final
class Job:
    def wait(self) -> list[tuple[int, Exception]]: ...

def order(positions: _ReadableBuffer, *, n: int, seed: int, epoch: int, window: tuple[int, int] | None) -> Buffer: ...
def units(positions: _ReadableBuffer, *, seed: int, epoch: int) -> Buffer: ...
