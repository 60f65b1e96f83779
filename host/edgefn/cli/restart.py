"""Starts the command anew, in the place of the process that runs."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

log = logging.getLogger("edgefn.host")


def start_anew() -> int:
    """Replaces this process by a new one with the same command line, console and environment, under the same number.

    So a restart needs nobody outside: not the policy of IoT Edge, not systemd, not a developer. Where the system can
    not replace a process (Windows), the new one runs as a child; its exit code is given. 1 when it can not be started.
    """
    command = [sys.executable, *sys.orig_argv[1:]]
    log.info("Starting anew")
    sys.stdout.flush()
    sys.stderr.flush()
    try:
        if os.name == "nt":
            return subprocess.call(command)
        os.execv(sys.executable, command)
    except OSError as error:
        log.error("%s can not be started anew: %s", sys.executable, error)
        return 1
