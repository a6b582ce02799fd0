"""Run the notebooks of docs/notebooks from their first cell to their last, and keep what they show.

    python scripts/notebooks.py             # writes the outputs into the files

No kernel is needed for cells of plain Python. The tests run them by the same function.
"""

import ast
import base64
import contextlib
import io
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

NOTEBOOKS = Path(__file__).parents[1] / "docs" / "notebooks"


def run(notebook: dict[str, Any]) -> Iterator[tuple[dict[str, Any], list[dict[str, Any]]]]:
    """Run the cells of code in the current folder; give each with its outputs, in the form of nbformat 4."""
    names: dict[str, Any] = {"__name__": "__main__"}
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            outputs = run_cell("".join(cell["source"]), names)
            # Where it ran is nobody's business.
            yield cell, json.loads(json.dumps(outputs).replace(str(Path.cwd()), "/data"))


def run_cell(source: str, names: dict[str, Any]) -> list[dict[str, Any]]:
    """Run one cell: what it prints, and what its last expression is."""
    tree = ast.parse(source)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, value = io.StringIO(), None
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "<cell>", "exec"), names)
        if isinstance(last, ast.Expr):
            value = eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
    outputs: list[dict[str, Any]] = []
    if printed.getvalue():
        outputs.append({"output_type": "stream", "name": "stdout", "text": lines(printed.getvalue())})
    if value is not None:
        outputs.append({"output_type": "execute_result", "execution_count": 1, "metadata": {}, "data": shown(value)})
    return outputs


def shown(value: object) -> dict[str, Any]:
    """Return what a notebook shows of a value."""
    data: dict[str, Any] = {"text/plain": lines(repr(value))}
    if hasattr(value, "_repr_html_"):
        data["text/html"] = lines(value._repr_html_())
    if hasattr(value, "get_figure"):
        picture = io.BytesIO()
        value.get_figure().savefig(picture, format="png", dpi=60, metadata={"Software": None})
        data["image/png"] = base64.b64encode(picture.getvalue()).decode()
    return data


def lines(text: str) -> list[str]:
    """Return a text as nbformat keeps it."""
    return text.splitlines(keepends=True)


def main() -> None:
    """Run all notebooks, each in an empty folder, and write their outputs."""
    os.environ.setdefault("MPLBACKEND", "agg")
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        notebook = json.loads(path.read_text(encoding="utf-8"))
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            for number, (cell, outputs) in enumerate(run(notebook), 1):
                for output in outputs:
                    if "execution_count" in output:
                        output["execution_count"] = number
                cell |= {"outputs": outputs, "execution_count": number}
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
        sys.stdout.write(f"{path}: {path.stat().st_size:,} bytes\n")


if __name__ == "__main__":
    main()
