"""How long to wait between the attempts of an invocation: Azure Functions' two retry policies."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator

from edgefn.function import RetryPolicy, RetryStrategy


def delays(policy: RetryPolicy) -> Iterator[float]:
    """Seconds before the second attempt, the third one, and so on; as many as there are retries, for ever with -1.

    ``exponentialBackoff`` waits the minimum first, then the minimum and a random 0.8 to 1.2 of it doubled each time, at
    most the maximum.
    """
    count = itertools.count() if policy.max_retry_count < 0 else range(policy.max_retry_count)
    if policy.strategy is RetryStrategy.FIXED_DELAY:
        return ((policy.delay_interval or 0.0) for _ in count)
    return (_backed_off(policy, number) for number in count)


def _backed_off(policy: RetryPolicy, number: int) -> float:
    least, most = policy.minimum_interval or 0.0, policy.maximum_interval or 0.0
    if number == 0:
        return least
    return min(most, least + random.uniform(0.8, 1.2) * 2.0 ** min(number - 1, 60) * least)
