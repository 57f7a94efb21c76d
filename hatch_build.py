"""Compiles ``sentra/lexicon/compiled.pyx`` where there is a C compiler; without one Sentra does the same sums in arrays."""

import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from Cython.Build import cythonize
from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from setuptools import Distribution, Extension

NAME = "sentra.lexicon.compiled"
FOLDER = NAME.split(".")[:-1]


class CustomBuildHook(BuildHookInterface[Any]):
    """Adds the compiled module to a wheel; an editable installation finds it beside its source."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        self._folder = TemporaryDirectory()
        try:
            built = _built(Path(self.root), Path(self._folder.name))
        except Exception as error:  # whatever a compiler, or none, may raise: the wheel is whole without it
            self.app.display_warning(f"{NAME} was not compiled, so Sentra will be slower: {error}")
            return
        if version == "editable":
            shutil.copy(built, Path(self.root, *FOLDER, built.name))
        else:
            build_data["force_include"][str(built)] = "/".join((*FOLDER, built.name))
        build_data.update(pure_python=False, infer_tag=True)

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:
        self._folder.cleanup()


def _built(root: Path, folder: Path) -> Path:
    """The compiled module, made in ``folder``."""
    source = root.joinpath(*NAME.split(".")).with_suffix(".pyx")
    module = Extension(NAME, [str(source)], extra_compile_args=["-O3", "-g0"])
    distribution = Distribution({"ext_modules": cythonize(module, build_dir=str(folder), quiet=True)})
    command = distribution.get_command_obj("build_ext")
    command.build_lib = command.build_temp = str(folder)
    command.ensure_finalized()
    command.run()
    return Path(command.get_ext_fullpath(NAME))
