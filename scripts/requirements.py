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
            # turbojpeg-sys builds libjpeg-turbo with it; the wheel saves the user an installation.
            wanted.add("cmake")
        else:
            wanted.update(project["project"]["optional-dependencies"][group])
    print("\n".join(sorted(wanted)))


if __name__ == "__main__":
    main(sys.argv[1:])
