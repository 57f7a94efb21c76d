"""Holds an image's configuration to what is promised, and writes what is needed to run it into a folder.

Usage: ``buildah inspect --type image IMAGE | configuration.py FOLDER VERSION REVISION``. The folder then has ``user``, and
``environment`` and ``command``, whose items end in NUL.
"""

import json
import re
import sys
from pathlib import Path
from typing import Any

LABEL = "org.opencontainers.image."


def problems(configuration: dict[str, Any], version: str, revision: str) -> list[str]:
    """What is not as promised; empty when all is."""
    labels = configuration.get("Labels", {})
    expected = {"title": "Sentra", "licenses": "MIT", "version": version, "revision": revision}
    found = [
        f"label {name} is {labels.get(LABEL + name)!r}, not {value!r}"
        for name, value in expected.items()
        if labels.get(LABEL + name) != value
    ]
    if not re.fullmatch(r"[1-9]\d*:[1-9]\d*", configuration.get("User", "")):
        found.append(f"the user {configuration.get('User')!r} is not numeric, or is root")
    if configuration.get("Entrypoint") != ["sentra"] or configuration.get("Cmd") != ["serve"]:
        found.append(f"the command is {configuration.get('Entrypoint')} {configuration.get('Cmd')}")
    if configuration.get("StopSignal") != "SIGTERM":
        found.append(f"the stop signal is {configuration.get('StopSignal')!r}")
    return found


def main(folder: Path, version: str, revision: str) -> int:
    configuration = json.load(sys.stdin)["OCIv1"]["config"]
    found = problems(configuration, version, revision)
    for problem in found:
        print(f"container: {problem}", file=sys.stderr)
    (folder / "user").write_text(configuration["User"])
    for name, items in (
        ("environment", configuration["Env"]),
        ("command", configuration["Entrypoint"] + configuration["Cmd"]),
    ):
        (folder / name).write_text("".join(f"{item}\0" for item in items))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), *sys.argv[2:]))
