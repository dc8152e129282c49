"""Whether the environment has the packages of this workspace as their pyproject.toml says.

hatch installs a member again when its dependencies change, but not when its entry points do: an
environment that is older than an entry point knows nothing of that plugin.
"""

import sys
import tomllib
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def outdated() -> list[str]:
    """The installed members whose entry points are not those of their pyproject.toml."""
    names = []
    for file in sorted(ROOT.glob("packages/*/pyproject.toml")):
        project = tomllib.loads(file.read_text())["project"]
        wanted = {
            (group, name, value)
            for group, points in project.get("entry-points", {}).items()
            for name, value in points.items()
        }
        try:
            found = metadata.distribution(project["name"]).entry_points
        except metadata.PackageNotFoundError:
            continue
        if {(point.group, point.name, point.value) for point in found} != wanted:
            names.append(project["name"])
    return names


def complaint() -> str:
    """What to say and do about outdated members; empty if there are none."""
    if not (names := outdated()):
        return ""
    return (
        f"This environment has {', '.join(names)} installed with other entry points than "
        f"pyproject.toml has now. Make it anew: `hatch env prune`."
    )


if __name__ == "__main__":
    sys.exit(complaint() or 0)
