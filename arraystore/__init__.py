"""An array store for millions of small scientific JPEGs: lossless Zarr v3, read as random crops through Rust."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from arraystore import errors

if TYPE_CHECKING:
    from arraystore._core import __version__
    from arraystore.ingestion.append import append
    from arraystore.ingestion.export import export
    from arraystore.ingestion.merge import merge
    from arraystore.ingestion.run import ingest
    from arraystore.integrations.zarr_pixels import pixels
    from arraystore.reader.store import Store, open
    from arraystore.reader.view import View
    from arraystore.virtual.seek import index
    from arraystore.virtual.verify import verify

__all__ = [
    "Store",
    "View",
    "__version__",
    "append",
    "errors",
    "export",
    "index",
    "ingest",
    "merge",
    "open",
    "pixels",
    "verify",
]

# Loaded at first use (PEP 562), so that `import arraystore` costs a worker or a command line next to nothing.
_HOMES = {
    "Store": "arraystore.reader.store",
    "View": "arraystore.reader.view",
    "__version__": "arraystore._core",
    "append": "arraystore.ingestion.append",
    "export": "arraystore.ingestion.export",
    "index": "arraystore.virtual.seek",
    "ingest": "arraystore.ingestion.run",
    "merge": "arraystore.ingestion.merge",
    "open": "arraystore.reader.store",
    "pixels": "arraystore.integrations.zarr_pixels",
    "verify": "arraystore.virtual.verify",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
