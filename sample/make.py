"""Makes the sample clip and the two sample models, and says how good the models are.

    pip install torch && python sample/make.py

About five minutes on two cores, without a GPU; ffmpeg with libx264 has to be there. It ends with 1 where the detector
finds less than nine tenths of the objects, or is wrong in more than a tenth of what it says.
"""

from __future__ import annotations

import sys
from pathlib import Path

import classifier
import detector
import numpy as np
import openvino
import torch
from frames import FPS, Frame, draw, encode, to_be_judged_by, to_learn_from
from judge import Count, judge_classifier, judge_detector

from edgefn.scene import LABELS, LIGHTS

HERE = Path(__file__).parent
CLIP_SEED, CLIP_START, CLIP_SECONDS, CLIP_QUALITY = 11, 67 * FPS, 15, 25
GOOD_ENOUGH = 0.9


def main() -> int:
    torch.set_num_threads(2)
    make_clip(HERE / "street.mp4")
    frames = list(to_learn_from(streets=280, each=15))
    make_detector(frames)
    make_classifier(frames)
    return report(to_be_judged_by(streets=8, each=75, quality=CLIP_QUALITY))


def make_clip(path: Path) -> None:
    """From day by dusk into night."""
    numbers = range(CLIP_START, CLIP_START + CLIP_SECONDS * FPS)
    encode((frame.image for frame in draw(CLIP_SEED, numbers)), path, CLIP_QUALITY)


def make_detector(frames: list[Frame]) -> None:
    images, wanted, boxes = (
        torch.from_numpy(np.stack(part)) for part in zip(*map(detector.lesson, frames), strict=True)
    )
    network = detector.train(detector.Lessons(images, wanted, boxes), steps=1300, batch=16)
    _export(network, (detector.HEIGHT, detector.WIDTH), ("boxes", "scores"), "street-detector", LABELS)


def make_classifier(frames: list[Frame]) -> None:
    images, lights = zip(*map(classifier.lesson, frames), strict=True)
    network = classifier.train(torch.from_numpy(np.stack(images)), torch.tensor(lights), steps=800, batch=64)
    _export(network, (classifier.SIZE, classifier.SIZE), ("probabilities",), "light-classifier", LIGHTS)


def _export(
    network: torch.nn.Module, size: tuple[int, int], outputs: tuple[str, ...], name: str, labels: tuple[str, ...]
) -> None:
    shape = (1, 3, *size)
    model = openvino.convert_model(network, example_input=torch.zeros(shape), input=[("image", shape)])
    model.inputs[0].get_tensor().set_names({"image"})
    for output, known_as in zip(model.outputs, outputs, strict=True):
        output.get_tensor().set_names({known_as})
    openvino.save_model(model, HERE / f"{name}.xml", compress_to_fp16=True)
    (HERE / f"{name}.labels.txt").write_text("".join(f"{label}\n" for label in labels), encoding="utf-8")


def report(frames: list[Frame]) -> int:
    counts = judge_detector(HERE / "street-detector.xml", frames)
    counts["all"] = Count(*map(sum, zip(*counts.values(), strict=True)))
    print(f"detector, {len(frames)} frames of streets that it has not seen, through H.264, OpenVINO at f32:")
    for label, count in counts.items():
        print(f"  {label:7} recall {count.recall:.3f}  precision {count.precision:.3f}  of {count.objects}")
    table = judge_classifier(HERE / "light-classifier.xml", frames)
    right = sum(table[place][place] for place in range(len(LIGHTS)))
    print(f"classifier, the same frames: accuracy {right / len(frames):.3f}")
    for light, row in zip(LIGHTS, table, strict=True):
        print(f"  {light:7} taken for " + ", ".join(f"{other} {n}" for other, n in zip(LIGHTS, row, strict=True)))
    for path in [*sorted(HERE.glob("*-*.*")), HERE / "street.mp4"]:
        print(f"{path.name:28} {path.stat().st_size:8} bytes")
    return 0 if min(counts["all"].recall, counts["all"].precision) >= GOOD_ENOUGH else 1


if __name__ == "__main__":
    sys.exit(main())
