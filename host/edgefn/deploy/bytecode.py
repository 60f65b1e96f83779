"""``python -m edgefn.deploy.bytecode``: keeps the bytecode of all that a host imports, while an image is built.

Python images come without the bytecode of Python's own library, and a container can keep none: each start of the module
would compile it anew, and each look at its health too. The files say nothing of times or checksums, so that they hold
whatever becomes of these.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import pkgutil
import py_compile
import sys
from collections.abc import Iterator
from pathlib import Path

import edgefn

LATER = ("azure.iot.device", "cv2", "openvino", "paho.mqtt.client", "uvicorn")
"""What edgefn imports only where it is needed."""


def imported() -> Iterator[Path]:
    """The source files of all that a host may import, of packages and of Python."""
    own = [name for _, name, _ in pkgutil.walk_packages(edgefn.__path__, "edgefn.") if not name.endswith("__main__")]
    for name in (*own, *LATER):
        with contextlib.suppress(ImportError):  # of an extra that this image does without
            importlib.import_module(name)
    for module in list(sys.modules.values()):
        path = Path(getattr(module, "__file__", None) or "")
        if path.suffix == ".py" and path.is_file():
            yield path


def keep() -> int:
    """Writes what is missing; how many files there are."""
    paths = set(imported())
    for path in paths:
        if not Path(importlib.util.cache_from_source(str(path))).exists():
            py_compile.compile(str(path), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH, quiet=1)
    return len(paths)


if __name__ == "__main__":
    keep()
