"""Apps with plain pictures and boxes on them, for tests of what the page shows."""

from __future__ import annotations

import json

from tests.web.page.conftest import Tab

HEAD = "import edgefn\napp = edgefn.FunctionApp()\n"
DETECT = (
    "@app.video_frame_trigger('frame', '{name}', on_end='loop', real_time=True, capture_fps=8)\n"
    "@app.inference_session('detector', 'stub:{name}.json', task='detection')\n"
    "async def {name}(frame: edgefn.VideoFrame, detector: edgefn.DetectionSession):\n"
    "    await detector.infer_async(frame)\n"
)
BOXES = [(0.2, 0.3, 0.8, 0.7), (0.05, 0.4, 0.6, 0.9), (0.35, 0.25, 0.95, 0.5)]


def answers(boxes: list[tuple[float, float, float, float]], name: str = "car") -> str:
    return json.dumps([[{"index": 1, "name": name, "score": 0.9, "box": box}] for box in boxes])


async def picture(tab: Tab, source: str) -> int:
    """The number of the frame that is shown of a source, once there is one."""
    number = await tab.holds(f"document.querySelector('[data-source=\"{source}\"] canvas')?.dataset.frame")
    return int(number)
