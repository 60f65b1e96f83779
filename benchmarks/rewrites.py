"""Milliseconds of one inference, of a model as a session writes it anew for the CPU, and without that.

    python benchmarks/rewrites.py [MODEL ...] [--rounds 200] [--precision bf16]

Both are compiled as a session does it, for one stream on all processors, and take turns on pictures of random pixels,
each being the first as often.
``ratio`` is the median of the ratios of each turn, above 1 where writing anew is faster; ``difference`` the largest
between two outputs. Without a model it takes the samples'. The last line is one JSON object.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from edgefn.contracts import Task
from edgefn.function import Binding, Direction
from edgefn.sessions import openvino as kinds

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = sorted(map(str, (ROOT / "sample").glob("*.xml")))


def opened(model: str, options: dict[str, Any]) -> Any:
    declared = {"model": str(Path(model).resolve()), "streams": 1, "task": "raw", **options}
    with tempfile.TemporaryDirectory() as state:
        kind = kinds.OpenVinoKind(ROOT, Path(state))
        checked = kind.options.model_validate(declared)
        return kind.open(Binding("measure", "net", "inferenceSession", Direction.IN, declared, checked), Task.RAW)


def as_it_is(model: str, options: dict[str, Any]) -> Any:
    with mock.patch.object(kinds, "rewrite", return_value=None):
        return opened(model, options)


def took(infer: Callable[[Any], Any], picture: Any) -> tuple[float, Any]:
    began = time.perf_counter()
    found = infer(picture)
    return 1000 * (time.perf_counter() - began), found


def measure(model: str, options: dict[str, Any], rounds: int) -> dict[str, Any]:
    plain, anew = as_it_is(model, options), opened(model, options)
    port = plain.tensors.picture
    pictures = np.random.default_rng(1).integers(0, 256, (8, *port.shape[1:]), np.uint8)
    seen: list[tuple[float, float]] = []
    difference = 0.0
    for number in range(rounds + 20):
        picture = pictures[number % len(pictures)]
        if number % 2:  # who comes second finds the picture in the processor's cache
            (one, expected), (other, found) = took(plain.infer, picture), took(anew.infer, picture)
        else:
            (other, found), (one, expected) = took(anew.infer, picture), took(plain.infer, picture)
        if number >= 20:
            seen.append((one, other))
        difference = max(difference, *(float(np.abs(found[name] - expected[name]).max()) for name in expected))
    plain.close()
    anew.close()
    medians = [round(statistics.median(figures), 3) for figures in zip(*seen, strict=True)]
    ratio = round(statistics.median(one / other for one, other in seen), 3)
    told = {"model": Path(model).stem, "as_it_is": medians[0], "anew": medians[1], "ratio": ratio}
    return {**told, "difference": difference}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", default=SAMPLES)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--precision", choices=["f32", "bf16", "f16"])
    asked = parser.parse_args()
    options = {"precision": asked.precision} if asked.precision else {}
    seen = []
    for model in asked.models:
        seen.append(measure(model, options, asked.rounds))
        print("{model}: {as_it_is:.3f} ms, anew {anew:.3f} ms, {ratio:.3f}x".format(**seen[-1]), flush=True)
    print(json.dumps(seen))


if __name__ == "__main__":
    main()
