"""Build step: compile protos/zimun/v1 into the package, for wheels and editable installs alike.

`python setup.py generate` does it alone. Besides the stubs it writes
`zimun/v1/descriptors.binpb`, the compiled contract that Envoy's transcoder reads.
`python setup.py googleapis` lays the google protos that ours import, out of the
installed wheel, where buf finds them.
"""

import os
import re
import shutil
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path
from typing import ClassVar

from setuptools import Command, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
PROTOS = ROOT / "protos"
OUT = ROOT / "server" / "zimun" / "v1"


def googleapis() -> Path:
    """Where the installed googleapis-common-protos keeps its .proto files."""
    import google.api

    return Path(next(iter(google.api.__path__))).parents[1]


def plugin(name: str) -> str:
    """Where a plugin of protoc is: in this environment, or in that of an isolated build."""
    found = shutil.which(name, path=f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}")
    return found or sys.exit(f"{name} is not installed")


def generate() -> None:
    """Replace server/zimun/v1 with what protos/ says now."""
    import grpc_tools
    from grpc_tools import protoc

    sources = sorted(str(path.relative_to(PROTOS)) for path in PROTOS.rglob("*.proto"))
    OUT.mkdir(parents=True, exist_ok=True)
    for stale in OUT.iterdir():
        if stale.is_file():
            stale.unlink()
    (OUT / "__init__.py").write_text('"""Generated from protos/zimun/v1; never edited."""\n')
    includes = [PROTOS, googleapis(), Path(grpc_tools.__file__).parent / "_proto"]
    package = OUT.parents[1]
    stubs = [f"--{kind}_out={package}" for kind in ("python", "pyi", "grpc_python")]
    stubs += [f"--plugin={plugin('protoc-gen-mypy_grpc')}", f"--mypy_grpc_out=quiet:{package}"]
    descriptors = [f"--descriptor_set_out={OUT / 'descriptors.binpb'}", "--include_imports"]
    # The comments are what the OpenAPI document says of methods and fields.
    descriptors.append("--include_source_info")
    # Error details travel as Any: Envoy can write only what it has a descriptor of.
    details = ["google/rpc/error_details.proto"]
    for arguments in ([*stubs, *sources], [*descriptors, *sources, *details]):
        if protoc.main(["protoc", *(f"-I{include}" for include in includes), *arguments]):
            sys.exit("protoc failed")


def lay_googleapis() -> None:
    """Copy the google protos that protos/ imports, and what these import, to build/googleapis."""
    wanted = _imports(PROTOS.rglob("*.proto"))
    done: set[str] = set()
    while missing := wanted - done:
        for name in missing:
            target = ROOT / "build" / "googleapis" / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(googleapis() / name, target)
            wanted |= _imports([target])
        done |= missing


def _imports(files: Iterable[Path]) -> set[str]:
    """The google protos that files import, but for those that every protoc brings."""
    found = re.findall(
        r'^import "(google/(?!protobuf/).+)";', "".join(f.read_text() for f in files), re.M
    )
    return set(found)


class Step(Command):
    """A command without options."""

    user_options: ClassVar[list[tuple[str, str, str]]] = []

    def initialize_options(self) -> None:
        pass

    def finalize_options(self) -> None:
        pass


class Generate(Step):
    description = "compile protos/ into server/zimun/v1"

    def run(self) -> None:
        generate()


class Googleapis(Step):
    description = "lay the google protos that protos/ imports in build/googleapis"

    def run(self) -> None:
        lay_googleapis()


class BuildPy(build_py):
    def run(self) -> None:
        generate()
        # On a first build the package did not exist when setuptools looked for packages.
        if "zimun.v1" not in self.packages:
            self.packages.append("zimun.v1")
        super().run()


setup(cmdclass={"build_py": BuildPy, "generate": Generate, "googleapis": Googleapis})
