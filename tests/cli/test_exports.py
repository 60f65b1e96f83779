"""``edgefn new --from-custom-vision``: what Custom Vision exports becomes a function that answers as it does."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from edgefn.cli.exports import read_export
from edgefn.cli.new import New, run_new
from edgefn.errors import EdgefnError
from edgefn.loader import load_app
from tests.templates import empty_app
from tests.web.conftest import served

TAGS = b"Apple\nBanana\nLemon\nOrange\n"


def zipped(path: Path, files: Mapping[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("form", ["zip", "folder"])
async def test_an_export_answers_pictures_with_its_tags(tmp_path: Path, test_data: Path, form: str) -> None:
    source = test_data / "models" / "custom-vision-fruits"
    files = {f"app/{name}": (source / name).read_bytes() for name in ("model.pb", "labels.txt")}
    files["cvexport.manifest"] = b'{"DomainType": "Classification", "Platform": "TensorFlow"}'
    export = zipped(tmp_path / "export.zip", files) if form == "zip" else source
    app = empty_app(tmp_path / "app")
    assert run_new(New(name="fruit", root=app, export=export)) == 0
    assert (app / "models/fruit/labels.txt").read_bytes().split() == (source / "labels.txt").read_bytes().split()
    assert not (app / "models/light-classifier.xml").exists()
    async with served(load_app(app, environment={})) as site:
        picture = (test_data / "images/fruits/banana/banana4.jpg").read_bytes()
        answer = await site.client.post("/api/image", content=picture)
    best = answer.json()["predictions"][0]
    assert best["tagName"] == "Banana"
    assert best["probability"] == pytest.approx(0.99995, abs=5e-3)


def test_a_detector_is_one_by_its_manifest_and_of_several_models_the_best_form_is_taken(tmp_path: Path) -> None:
    files = {"model.onnx": b"1", "x/model.xml": b"2", "x/model.bin": b"3", "labels.txt": TAGS, "python/predict.py": b""}
    files["cvexport.manifest"] = b'{"DomainType": "ObjectDetection"}'
    export = read_export(zipped(tmp_path / "export.zip", files))
    assert (export.task, export.model) == ("Detection", "model.xml")
    assert export.files == {"model.xml": b"2", "labels.txt": TAGS, "model.bin": b"3"}


def test_a_path_of_a_zip_leads_nowhere(tmp_path: Path) -> None:
    files = {"../../evil/model.pb": b"1", "/etc/labels.txt": TAGS, "../functions/image.py": b"evil"}
    app = empty_app(tmp_path / "a" / "app")
    before = {path for path in tmp_path.rglob("*") if not path.is_relative_to(app)}
    assert run_new(New(root=app, export=zipped(tmp_path / "export.zip", files))) == 0
    assert {path for path in tmp_path.rglob("*") if not path.is_relative_to(app)} - before == {tmp_path / "export.zip"}
    assert "evil" not in (app / "functions/image.py").read_text()
    assert (app / "models/image/model.pb").read_bytes() == b"1"


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"readme.md": b""}, r"holds no model \(.xml, .onnx, .pb, .tflite\); it has readme.md"),
        ({"model.pb": b""}, "has model.pb, and no labels.txt"),
        ({"model.xml": b"", "labels.txt": TAGS}, "not its weights model.bin; export it again"),
        (
            {"model.pb": b"", "labels.txt": TAGS, "cvexport.manifest": json.dumps([1]).encode()},
            "names no known DomainType",
        ),
    ],
)
def test_what_is_no_export_is_refused_with_the_reason(tmp_path: Path, files: dict[str, bytes], reason: str) -> None:
    with pytest.raises(EdgefnError, match=rf"export\.zip: .*{reason}"):
        read_export(zipped(tmp_path / "export.zip", files))


def test_a_zip_that_is_damaged_is_said_and_one_with_odd_paths_is_read(tmp_path: Path) -> None:
    export = zipped(tmp_path / "export.zip", {"./model.pb": b"1", "x/.//labels.txt": TAGS})
    assert read_export(export).files == {"model.pb": b"1", "labels.txt": TAGS}
    with zipfile.ZipFile(export, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.pb", bytes(1000))
    content = bytearray(export.read_bytes())
    content[38:44] = b"\xff" * 6  # behind the head of the file, which is of 30 bytes, and its name
    export.write_bytes(content)
    with zipfile.ZipFile(export, "a") as archive:
        archive.writestr("labels.txt", TAGS)
    with pytest.raises(EdgefnError, match="can not be read as a zip"):
        read_export(export)


def test_a_file_that_is_no_zip_or_is_not_there_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "export.zip").write_bytes(b"PK no zip")
    app = empty_app(tmp_path / "app")
    assert run_new(New(root=app, export=tmp_path / "export.zip")) == 1
    assert run_new(New(root=app, export=tmp_path / "other.zip")) == 1
    said = capsys.readouterr().err
    assert "export.zip: can not be read as a zip" in said
    assert "other.zip: is not there" in said
    assert not (app / "functions/image.py").exists()
