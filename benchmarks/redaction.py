"""What redaction costs a log line.

    python benchmarks/redaction.py

Microseconds a call: for the lines of an invocation, which hold nothing, by the number of secrets that the settings and
keys hold; for lines that look suspicious; and, to compare, for all that writing such a line costs.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import sys
import timeit
from collections.abc import Callable
from pathlib import Path

from edgefn.logs import logging_to
from edgefn.redaction import hold, redact

CLEAN = "Executed 'Functions.detect' (Succeeded, Id=0f8fad5b-d9cb-469f-a165-70867728950e, Duration=12ms)"
LINES = {
    "a word such as key in it": CLEAN.replace("detect", "keypoints"),
    "a secret in it": "rtsp://user:password@camera/live: does not answer; check the address, the credentials",
    "a connection string in it": "HostName=hub.example;DeviceId=camera;SharedAccessKey=q8Zr+Yw/3kPl0s9dJm4Tn7x=",
}


def micros(call: Callable[[], object], number: int = 50_000) -> float:
    return round(min(timeit.repeat(call, number=number, repeat=5)) / number * 1e6, 2)


def main() -> None:
    found = {}
    for count in (0, 1, 5, 10, 20):
        hold("benchmark", [secrets.token_urlsafe(42) for _ in range(count)])
        found[f"clean, {count} secrets held"] = micros(lambda: redact(CLEAN))
    hold("benchmark", [secrets.token_urlsafe(42) for _ in range(5)])
    for name, line in LINES.items():
        found[name] = micros(lambda line=line: redact(line), 10_000)  # type: ignore[misc]
    with Path(os.devnull).open("w") as nowhere, logging_to(nowhere):
        found["writing a clean line, redaction included"] = micros(lambda: logging.info(CLEAN), 20_000)
    for name, cost in found.items():
        print(f"{name:42} {cost:8.2f} us")
    print(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors", file=sys.stderr)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
