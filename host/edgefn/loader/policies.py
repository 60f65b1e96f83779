"""What is declared beside the bindings: the retry policy, the time-out, whether the function is disabled."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from edgefn.errors import SettingError, listing, nearest
from edgefn.function import RetryPolicy, RetryStrategy
from edgefn.settings import HostConfig, Settings, seconds_of

OPTIONS = ("strategy", "maxRetryCount", "delayInterval", "minimumInterval", "maximumInterval")


def policy_of(root: Path, config: HostConfig) -> RetryPolicy | None:
    """The policy that host.json declares for all functions; raises SettingError."""
    declared, where = config.document.get("retry"), config.at(root, "retry")
    if declared is None:
        return None
    if not isinstance(declared, dict):
        raise SettingError(f"{where}: retry should be an object, found {declared!r}")
    return retry_policy(declared, where)


def retry_policy(declared: Mapping[str, Any], where: str) -> RetryPolicy:
    """The policy of a ``retry`` object; strategies in both of Azure's spellings. Raises SettingError."""
    if unknown := declared.keys() - set(OPTIONS):
        name = sorted(unknown)[0]
        raise SettingError(
            f"{where}: unknown option '{name}' of retry{nearest(name, OPTIONS)}; known: {listing(OPTIONS)}"
        )
    strategy = _strategy(declared.get("strategy"), where)
    count = _count(declared.get("maxRetryCount"), where)
    if strategy is RetryStrategy.FIXED_DELAY:
        return RetryPolicy(strategy, count, delay_interval=_interval(declared, "delayInterval", where))
    minimum, maximum = (_interval(declared, name, where) for name in ("minimumInterval", "maximumInterval"))
    if minimum > maximum:
        found = f"{declared['minimumInterval']} and {declared['maximumInterval']}"
        raise SettingError(f"{where}: retry: minimumInterval should not exceed maximumInterval; found {found}")
    return RetryPolicy(strategy, count, minimum_interval=minimum, maximum_interval=maximum)


def _strategy(declared: Any, where: str) -> RetryStrategy:
    """``fixedDelay`` and ``fixed_delay`` alike, whatever the case."""
    found = str(declared).replace("_", "").lower()
    for strategy in RetryStrategy:
        if strategy.lower() == found:
            return strategy
    raise SettingError(
        f"{where}: retry: there is no strategy {declared!r}{nearest(str(declared), RetryStrategy)}; "
        f"strategies: {listing(RetryStrategy)}"
    )


def _count(declared: Any, where: str) -> int:
    if declared is None:
        raise SettingError(f"{where}: retry: Value cannot be null. (Parameter 'MaxRetryCount'); -1 is for ever")
    try:
        count = -2 if isinstance(declared, bool | float) else int(declared)
    except (TypeError, ValueError):
        count = -2
    if count < -1:
        raise SettingError(
            f"{where}: retry: maxRetryCount should be a whole number, or -1 for ever; found {declared!r}"
        )
    return count


def _interval(declared: Mapping[str, Any], name: str, where: str) -> float:
    if declared.get(name) is None:
        parameter = name[0].upper() + name[1:]
        raise SettingError(f"{where}: retry: Value cannot be null. (Parameter '{parameter}'); give it as HH:MM:SS")
    try:
        interval = seconds_of(declared[name])
    except ValueError:
        interval = -1.0
    if interval < 0:
        raise SettingError(f"{where}: retry: {name} should be HH:MM:SS; found {declared[name]!r}")
    return interval


def is_disabled(name: str, declared: Any, settings: Settings) -> bool:
    """Whether function.json, a setting that it names, or ``AzureWebJobs.<name>.Disabled`` switches a function off."""
    values = [settings.get(f"AzureWebJobs.{name}.Disabled"), settings.get(f"AzureWebJobs_{name}_Disabled")]
    values.append(settings.get(declared.strip("%"), declared) if isinstance(declared, str) else str(declared))
    return any(value is not None and value.strip().lower() in ("1", "true") for value in values)
