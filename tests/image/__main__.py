"""``python -m tests.image`` builds the image beforehand, where one can be built; the tests find it."""

from __future__ import annotations

from tests.image.containers import image, missing

if not missing():
    image()
