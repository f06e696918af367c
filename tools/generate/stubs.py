"""The stubs of the gRPC API, made from proto/. `python -m generate.stubs` writes them."""

import shutil
import tempfile
from pathlib import Path

from grpc_tools import protoc
from programs import ROOT

PROTO = ROOT / "proto"
FILE = "spotmix/placement/v1/placement.proto"


def render() -> dict[str, str]:
    """The stubs by their paths in the repository.

    Raises:
        RuntimeError: the proto file is wrong; protoc has said where.
    """
    folder = Path(tempfile.mkdtemp(prefix="stubs-"))
    try:
        outputs = (f"--{kind}_out={folder}" for kind in ("python", "pyi", "grpc_python"))
        status = protoc.main(["protoc", f"-I{PROTO}", *outputs, FILE])
        if status:
            raise RuntimeError(f"protoc ends with {status} on {PROTO / FILE}")
        return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*.py*")}
    finally:
        shutil.rmtree(folder)


def write(folder: Path = ROOT) -> None:
    for name, text in render().items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


if __name__ == "__main__":
    write()
