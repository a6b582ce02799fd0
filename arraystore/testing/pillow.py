"""Pillow, which only drawing and comparing pictures need."""

from __future__ import annotations

from typing import Any

__all__ = ["require_pillow"]


def require_pillow() -> Any:
    """Import Pillow's `Image` module, or say which extra brings it.

    Raises
    ------
    ImportError
        If Pillow is not installed.
    """
    try:
        from PIL import Image
    except ImportError as error:
        message = "synthetic JPEGs and the demo need Pillow: pip install 'arraystore[demo]'"
        raise ImportError(message) from error
    return Image
