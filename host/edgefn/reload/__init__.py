"""Hot reload: what was saved is what the next event runs.

    watch (watcher.py) -> which modules are stale (imports_of.py) -> import them anew (edgefn.imports) -> declared and
    checked beside what runs -> Host.swap, add, remove (reloader.py)

Compiled models, open sources, the HTTP port, the hub's connection and the spool stay. What is broken keeps its last
good version, and says why until it is mended.
"""

from edgefn.reload.reloader import Reloader
from edgefn.reload.watcher import Watcher

__all__ = ["Reloader", "Watcher"]
