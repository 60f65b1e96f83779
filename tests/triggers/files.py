"""A host whose function has a folder, and what is in that."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from edgefn.host import Host

PICTURE = cv2.imencode(".jpg", np.full((24, 32, 3), 90, np.uint8))[1].tobytes()


QUICK = 'path="in", settle=0, interval=0.05'


NAMES = f"""
@app.file_trigger("file", {QUICK})
@app.edge_hub_output("$return", "out")
def f(file):
    return file.name
"""


class Site:
    """A running host with the function ``f`` on the folder ``in``."""

    def __init__(self, host: Host, root: Path) -> None:
        self.host = host
        self.folder = root / "in"
        self.function = next(each for each in host.running if each.function.name == "f")

    @property
    def sent(self) -> list[Any]:
        path = self.host.app.services.state / "upstream.jsonl"
        return [json.loads(line)["body"] for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def status(self) -> dict[str, Any]:
        assert self.function.listener is not None
        return dict(self.function.listener.status())

    def put(self, name: str, content: bytes | str = "x") -> Path:
        """Moves a whole file in, as a writer does that knows what it is about."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        part.write_bytes(content if isinstance(content, bytes) else content.encode())
        part.replace(path)
        return path

    async def letters(self) -> list[tuple[str, str]]:
        letters = await self.host.app.services.spool.dead_letters()
        return [(letter.message.json()["name"], letter.reason) for letter in letters]

    def module(self) -> dict[str, Any]:
        assert self.function.function.call is not None
        return self.function.function.call.__globals__


Start = Callable[..., Any]
