"""Print the requirements of pyproject.toml that a group of commands needs: `requirements.py build demo`.

One list of dependencies, in pyproject.toml; the exact versions come from requirements-dev.lock.
"""

import sys
import tomllib
from pathlib import Path


def main(groups: list[str]) -> None:
    with (Path(__file__).parents[1] / "pyproject.toml").open("rb") as file:
        project = tomllib.load(file)
    wanted = set(project["project"]["dependencies"])
    for group in groups:
        if group == "build":
            wanted.update(project["build-system"]["requires"])
        else:
            wanted.update(project["project"]["optional-dependencies"][group])
    print("\n".join(sorted(wanted)))


if __name__ == "__main__":
    main(sys.argv[1:])
