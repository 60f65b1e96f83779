"""A token for the hub, and the roots to know it by: asked for anew for each connection."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from edgefn.hubs.iot_edge import workload
from edgefn.hubs.iot_edge.identity import CA_FILE, Identity, SharedKey, WorkloadKey
from edgefn.mqtt.faults import Cause, Fault

Signer = Callable[[str], str]
"""Signs a text; gives base64."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """What one connection is made with."""

    token: str = field(repr=False)
    roots: str | None = field(repr=False)
    """Certificates in PEM; None for those of the system."""
    ends: float
    """When the token does, by the monotonic clock: a clock that is set does not move it."""


def fetch_credentials(identity: Identity, lifetime: float) -> Credentials:
    """Blocks for as long as the workload API takes, at most twice its patience; raises Fault."""
    ends = time.monotonic() + lifetime - 1  # the token's end is cut to whole seconds
    roots = _roots(identity.key)
    return Credentials(_token(f"{identity.iot_hub}/{identity.path}", _signer(identity), lifetime), roots, ends)


def _token(resource: str, signer: Signer, lifetime: float) -> str:
    """A token as the SDK writes it; raises what the signer raises."""
    from azure.iot.device.common.auth.sastoken import RenewableSasToken, SasTokenError

    class Mechanism:
        sign = staticmethod(signer)

    try:
        return str(RenewableSasToken(resource, Mechanism(), ttl=lifetime))  # type: ignore[no-untyped-call]
    except SasTokenError as error:
        raise error.__cause__ or error from None


def _signer(identity: Identity) -> Signer:
    key = identity.key
    if isinstance(key, WorkloadKey):
        return partial(workload.sign, key, identity.module)
    return lambda text: base64.b64encode(hmac.digest(key.key, text.encode(), hashlib.sha256)).decode()


def _roots(key: WorkloadKey | SharedKey) -> str | None:
    if isinstance(key, WorkloadKey):
        return workload.trust_bundle(key)
    if not key.ca_file:
        return None
    try:
        return Path(key.ca_file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = f"{CA_FILE}: {key.ca_file} can not be read ({error}); a file with certificates in PEM would be right"
        raise Fault(Cause.CERTIFICATE, said) from None
