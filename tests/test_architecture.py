"""Imports go one way, as docs/design/0001-architecture.md draws it, and `import arraystore` is light."""

import ast
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "arraystore"

# Which parts a part may import, besides itself. The root stands for the public API: `import arraystore`.
BELOW_EVERYTHING = {"errors", "threads", "_core"}
PUBLIC = {"arraystore", "errors", "testing"}
ALLOWED = {
    "errors": set(),
    "threads": {"errors"},
    "sources": BELOW_EVERYTHING,
    "format": BELOW_EVERYTHING,
    "ingestion": BELOW_EVERYTHING | {"sources", "format"},
    # The index of a source is made by the steps of an ingest; a reader that finds one made loads nothing of them.
    "virtual": BELOW_EVERYTHING | {"sources", "format", "ingestion"},
    "reader": BELOW_EVERYTHING | {"sources", "format", "virtual"},
    "loader": BELOW_EVERYTHING | {"reader", "format"},
    # A codec is given bytes of no store, for which the public API has no name: the core decodes them.
    "integrations": PUBLIC | {"reader", "loader", "threads", "_core"},
    "cli": PUBLIC | {"threads"},
    "__main__": PUBLIC | {"cli"},
    "testing": PUBLIC | BELOW_EVERYTHING | {"format"},
}
# The methods of a store that lead up are in one file, and load what they need when they are called.
FACADE = "arraystore.reader.facade"
ABOVE_THE_FACADE = {"loader", "integrations"}
MODULES = sorted(PACKAGE.rglob("*.py"))
# What only integrations, or a method that says so, may load: each of them costs more than all of arraystore.
GUESTS = (
    "torch",
    "pandas",
    "h5py",
    "zarr",
    "numcodecs",
    "pyarrow",
    "anndata",
    "openpyxl",
    "scipy",
    "PIL",
    "cv2",
    "matplotlib",
)


def dotted(path: Path) -> str:
    """`arraystore/reader/store.py` -> `arraystore.reader.store`."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def part(module: str) -> str:
    """The part that a module belongs to: `arraystore.reader.store` -> `reader`."""
    return module.split(".")[1] if "." in module else "arraystore"


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and module of every import of arraystore, wherever it stands, with types-only ones."""
    submodules = {dotted(module) for module in MODULES} | {"arraystore._core"}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            # `from arraystore import errors` imports the module `arraystore.errors`.
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            found = [name if name in submodules else str(node.module) for name in whole]
        else:
            continue
        yield from ((node.lineno, name) for name in found if name.split(".")[0] == "arraystore")


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_imports_go_one_way(path):
    importer = part(dotted(path))
    if importer == "arraystore":
        return  # the root gathers the public names of all parts
    assert importer in ALLOWED, f"say in {Path(__file__).name} what the new part {importer!r} may import"
    wrong = [
        f"line {line}: {importer} must not import {module}"
        for line, module in imports(path)
        if part(module) not in ALLOWED[importer] | {importer} | (ABOVE_THE_FACADE if dotted(path) == FACADE else set())
    ]
    assert wrong == []


def test_the_facade_loads_what_is_above_when_it_is_called():
    tree = ast.parse((ROOT / f"{FACADE.replace('.', '/')}.py").read_text(encoding="utf-8"))
    at_import = [node.module for node in tree.body if isinstance(node, ast.ImportFrom)]
    assert [module for module in at_import if part(str(module)) in ABOVE_THE_FACADE] == []


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_containers_stay_behind_their_protocol(path):
    """A container of stores is a few files of `format` and a line of `containers.py`."""
    if part(dotted(path)) in ("format", "testing"):
        return
    containers = ("arraystore.format.zarr", "arraystore.format.hdf5")
    wrong = [f"line {line}: {module}" for line, module in imports(path) if module.startswith(containers)]
    assert wrong == []


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_layouts_of_publishers_stay_behind_their_registry(path):
    if part(dotted(path)) == "sources":
        return
    wrong = [
        f"line {line}: {module}"
        for line, module in imports(path)
        if "sources.bioscan" in module or "sources.folder" in module
    ]
    assert wrong == []


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_private_modules_stay_in_their_package(path):
    wrong = []
    for line, module in imports(path):
        names = module.split(".")
        private = next((i for i, name in enumerate(names) if name.startswith("_")), None)
        if private is not None and not dotted(path).startswith(".".join(names[:private])):
            wrong.append(f"line {line}: {module}")
    assert wrong == []


def test_the_core_crate_knows_no_python():
    manifest = tomllib.loads((ROOT / "rust/arraystore-core/Cargo.toml").read_text(encoding="utf-8"))
    for kind in ("dependencies", "dev-dependencies", "build-dependencies"):
        assert not [name for name in manifest.get(kind, {}) if name.startswith(("pyo3", "numpy"))]


@pytest.mark.parametrize("statement", ["import arraystore", "import arraystore; arraystore.open"])
def test_importing_loads_no_guest(statement):
    code = f"{statement}; import sys; print(*(name for name in {GUESTS!r} if name in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert run.stdout.split() == []
