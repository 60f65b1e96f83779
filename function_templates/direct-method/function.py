"""Answers the direct method __METHOD__: a status and a payload."""

from typing import Any

import edgefn

app = edgefn.FunctionApp()


@app.direct_method_trigger(arg_name="payload", method_name="__METHOD__")
def __NAME__(payload: Any) -> tuple[int, dict[str, Any]]:
    last = payload.get("last") if isinstance(payload, dict) else None
    if not isinstance(last, int) or not 0 < last <= 100:
        return 400, {"error": 'last: is missing or out of range; {"last": 3} would be right'}
    return 200, {"numbers": list(range(1, last + 1))}
