"""Seconds to compile a model of a function at a start, without and with the model cache that the start before left.

    python benchmarks/model_cache.py MODEL ... [--rounds 5] [--device CPU]

An app with one function on the drawn street is started in a process of its own, in turn with an empty state folder
(cold) and once more in the same one (warm). The seconds are those of the session's status: reading and preparing the
file, and OpenVINO's compilation. Without a model it takes the sample's. The last line is one JSON object: medians, and
the median of the ratios of each round; twice as fast is what a warm start has to be (row SA.3).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

SAMPLE = Path(__file__).parents[1] / "sample" / "street-detector.xml"
FUNCTION = """
import edgefn
app = edgefn.FunctionApp()

@app.video_frame_trigger("frame", "synthetic:?frames=1")
@app.inference_session("model", "%MODEL%", "%DEVICE%", task="raw")
def look(frame: edgefn.VideoFrame, model: edgefn.Session) -> None:
    model.infer(frame)
"""


async def started(folder: Path, settings: dict[str, str]) -> dict[str, Any]:
    """The status of the session after one start."""
    from edgefn.host import Host
    from edgefn.loader import load_app

    logging.disable(logging.WARNING)
    host = Host(load_app(folder, environment={}, given=settings))
    await host.start()
    await host.wait_for_end()
    session: dict[str, Any] = host.status()["functions"]["look"]["inputs"]["model"]
    await host.stop()
    return session


def start(folder: Path, model: str, device: str) -> float:
    """Seconds to compile, as a fresh process tells them."""
    command = [sys.executable, __file__, "--start", str(folder), "--device", device, model]
    told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return float(told["compile_seconds"])


def measure(model: str, device: str, rounds: int) -> dict[str, Any]:
    seen: list[tuple[float, float]] = []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "functions").mkdir()
            (folder / "functions" / "look.py").write_text(FUNCTION)
            (folder / "host.json").write_text('{"version": "2.0"}')
            cold, warm = start(folder, model, device), start(folder, model, device)
        seen.append((cold, warm))
        print(f"{Path(model).name}: cold {cold:.3f} s, warm {warm:.3f} s, {cold / warm:.1f}x", flush=True)
    cold, warm = (statistics.median(figures) for figures in zip(*seen, strict=True))
    ratio = statistics.median(cold / warm for cold, warm in seen)
    return {"model": Path(model).name, "cold": cold, "warm": warm, "ratio": round(ratio, 2)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="MODEL", default=[str(SAMPLE)])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--device", default="CPU")
    parser.add_argument("--start", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.start is not None:
        settings = {"MODEL": asked.models[0], "DEVICE": asked.device}
        print(json.dumps(asyncio.run(started(asked.start, settings))))
        return
    print(json.dumps([measure(str(Path(model).resolve()), asked.device, asked.rounds) for model in asked.models]))


if __name__ == "__main__":
    main()
