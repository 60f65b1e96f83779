"""The fixtures of apps over real models and clips, of served apps and of the browser, which other tests use too."""

from tests.end_to_end.conftest import golden, load, play
from tests.web.conftest import serve
from tests.web.page.conftest import browser, drawn

__all__ = ["browser", "drawn", "golden", "load", "play", "serve"]
