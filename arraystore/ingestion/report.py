"""What an ingest tells at its end, to people and to programs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from arraystore.ingestion.progress import format_count, format_nbytes

HARMLESS = frozenset({"merged-duplicate", "skipped-file"})
_LABELS = {
    "row-without-image": ("row of the table without an image", "rows of the table without an image"),
    "image-without-row": ("image without a row in the table", "images without a row in the table"),
    "split-mismatch": (
        "image in the directory of another split than the table says",
        "images in the directory of another split than the table says",
    ),
    "unknown-split": (
        "record with a split that its publisher does not know",
        "records with a split that their publisher does not know",
    ),
    "unmatched-row": ("row of a further table without a record", "rows of further tables without a record"),
    "unpaired-patch": ("patch without the other of its pair", "patches without the other of their pairs"),
    "unusable-file": ("file that cannot be read from the source", "files that cannot be read from the source"),
    "merged-duplicate": ("duplicate with the same bytes (kept once)", "duplicates with the same bytes (kept once)"),
    "skipped-file": ("file that is no image (skipped)", "files that are no images (skipped)"),
}


def trouble_words(kind: str, count: int) -> str:
    """Say for people how many troubles of a kind there are.

    Examples
    --------
    >>> trouble_words("image-without-row", 2)
    '2 images without a row in the table'
    """
    # The other kinds are statuses of an image, such as `empty`.
    return format_count(count, *_LABELS.get(kind, (f"image {kind}", f"images {kind}")))


@dataclass(frozen=True, slots=True)
class IngestReport:
    """The result of an ingest.

    Attributes
    ----------
    path : Path
        The store.
    package : str
        Package that was ingested.
    records : int
        Records in the store.
    images : int
        Records with an image.
    image_nbytes : int
        Bytes of these images.
    seconds : float
        Time from start to end.
    status : mapping of str to int
        Number of records by status of their image.
    troubles : mapping of str to int
        Number of troubles by kind.
    troubles_path : Path or None
        The list of troubles, if there are any.
    rows_left_out : int
        Rows of the table without image that were left out (`rows="images"`).
    images_left_out : int
        Images of other packages, which were asked not to be taken.
    metadata : Path or None
        The table that was used.
    joined : tuple of Path
        Further tables whose columns were joined to it.
    state : {"new", "resumed", "complete"}
        Whether the store was made, finished, or complete already.
    """

    path: Path
    package: str
    records: int
    images: int
    image_nbytes: int
    seconds: float
    status: Mapping[str, int] = field(default_factory=dict)
    troubles: Mapping[str, int] = field(default_factory=dict)
    troubles_path: Path | None = None
    rows_left_out: int = 0
    images_left_out: int = 0
    metadata: Path | None = None
    joined: tuple[Path, ...] = ()
    state: str = "new"

    @property
    def images_per_s(self) -> float:
        """Images a second over the whole time; 0 if the store was complete already."""
        return 0.0 if self.state == "complete" else self.images / max(self.seconds, 1e-9)

    @property
    def exit_code(self) -> int:
        """0 if all went well, 3 if the ingest finished with troubles."""
        return 3 if set(self.troubles) - HARMLESS else 0

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain JSON types."""
        return {
            "path": str(self.path),
            "state": self.state,
            "package": self.package,
            "records": self.records,
            "images": self.images,
            "image_nbytes": self.image_nbytes,
            "seconds": round(self.seconds, 3),
            "images_per_s": round(self.images_per_s, 1),
            "status": dict(self.status),
            "troubles": dict(self.troubles),
            "troubles_path": str(self.troubles_path) if self.troubles_path else None,
            "rows_left_out": self.rows_left_out,
            "images_left_out": self.images_left_out,
            "metadata": str(self.metadata) if self.metadata else None,
            "joined": [str(path) for path in self.joined],
            "exit_code": self.exit_code,
        }

    def __str__(self) -> str:
        lines = [self._headline()]
        if self.metadata is None:
            lines.append("  no metadata table: the only columns are what the paths tell")
        else:
            lines.append(f"  metadata from {', and '.join(map(str, (self.metadata, *self.joined)))}")
        if self.images_left_out:
            left_out = ("image of another package was left out", "images of other packages were left out")
            lines.append(f"  {format_count(self.images_left_out, *left_out)}")
        if self.rows_left_out:
            left_out = (
                "row of the table without an image was left out",
                "rows of the table without an image were left out",
            )
            lines.append(f"  {format_count(self.rows_left_out, *left_out)}")
        lines += [f"  {trouble_words(kind, count)}" for kind, count in self.troubles.items()]
        if 2 * self.troubles.get("row-without-image", 0) > self.records:
            lines.append("  more than half of the rows have no image: --rows images would leave them out")
        if self.troubles_path is not None:
            lines.append(f"  listed in {self.troubles_path}")
        return "\n".join(lines)

    def _headline(self) -> str:
        images, records = format_count(self.images, "image"), format_count(self.records, "record")
        content = f"{images} of {self.package} ({format_nbytes(self.image_nbytes)}), {records}"
        if self.state == "complete":
            return f"{self.path} is complete already: {content}"
        rate = f"{self.seconds:,.1f} s, {self.images_per_s:,.0f} images/s"
        return f"{self.path}: {content}, in {rate}"
