"""``python -m edgefn`` is the command ``edgefn``."""

from edgefn.cli import main

main()
