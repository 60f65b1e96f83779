"""Makes the picture of the README: one frame of the sample clip with the boxes that the sample's model finds.

python docs/make_picture.py [FRAME]
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import tempfile
from pathlib import Path

from edgefn.host import Host
from edgefn.loader import load_app

ROOT = Path(__file__).parents[1]
COLOURS = {"car": (80, 200, 255), "truck": (120, 255, 120), "person": (255, 160, 90)}

FUNCTION = """
import edgefn
app = edgefn.FunctionApp()
RESULTS = {}

@app.video_frame_trigger(arg_name="frame", source="%INPUT%")
@app.inference_session(arg_name="detector", model="%MODEL_XML_PATH%", device="CPU")
def keep(frame: edgefn.VideoFrame, detector: edgefn.DetectionSession):
    RESULTS[frame.id] = frame.image, detector.infer(frame)
"""


async def results(folder: Path) -> dict[int, tuple[object, list[object]]]:
    (folder / "functions").mkdir()
    (folder / "functions" / "keep.py").write_text(FUNCTION)
    sample = ROOT / "sample"
    settings = {"INPUT": str(sample / "street.mp4"), "MODEL_XML_PATH": str(sample / "street-detector.xml")}
    host = Host(load_app(folder, environment={}, given=settings))
    await host.start()
    await host.wait_for_end()
    await host.stop()
    return dict(host.app.manager.get_plugin("functions.keep").RESULTS)


def main() -> None:
    import cv2

    number = int(sys.argv[1]) if len(sys.argv) > 1 else 40
    folder = Path(tempfile.mkdtemp())
    try:
        image, found = asyncio.run(results(folder))[number]
    finally:
        shutil.rmtree(folder)
    picture = cv2.resize(image, None, fx=1.5, fy=1.5, interpolation=cv2.INTER_CUBIC)
    height, width = picture.shape[:2]
    for one in found:
        x, y = int(one.box.x_min * width), int(one.box.y_min * height)
        corner = int(one.box.x_max * width), int(one.box.y_max * height)
        colour = COLOURS[one.name]
        cv2.rectangle(picture, (x, y), corner, colour, 2, cv2.LINE_AA)
        text = f"{one.name} {one.score:.2f}"
        (wide, high), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, 0.5, 1)
        cv2.rectangle(picture, (x - 1, y - high - 8), (x + wide + 6, y), colour, -1)
        cv2.putText(picture, text, (x + 3, y - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.5, (20, 20, 20), 1, cv2.LINE_AA)
    cv2.imwrite(str(ROOT / "docs" / "street.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, 88])


if __name__ == "__main__":
    main()
