"""Runs the Rust side: a real agent, set up by environment variables."""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import dataclass

OWN = ("FLAME_ON_", "FLAMEON_")
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")
SETTINGS = {
    "FLAME_ON_SERVICE": "interop-shop",
    "FLAME_ON_ENVIRONMENT": "interop",
    "FLAME_ON_RELEASE": "1.2.3",
    "FLAME_ON_FUNCTION_LENGTH_THRESHOLD": "0.005",
    "FLAME_ON_MAX_BATCH_SIZE": "5",
}
LOST = 3
# Seconds that the sender's end may take, on a busy machine, and where nothing will arrive however long it waits.
PATIENCE = 60
IN_VAIN = 4


@dataclass
class Sent:
    """What the sender says about itself, and when it ran."""

    traces: list[dict]
    shipped: int
    lost: int
    has_lost: bool
    began: float
    ended: float
    log: str
    error_ids: list[str]


def run(environment: dict[str, str] | None = None, limit: int = PATIENCE, **settings: str) -> Sent:
    """Runs it with these settings; `api_key="k"` is `FLAME_ON_API_KEY=k`. `environment` has full names."""
    env = {key: value for key, value in os.environ.items() if not key.startswith(OWN) and key.lower() not in PROXIES}
    env |= SETTINGS | {f"FLAME_ON_{key.upper()}": str(value) for key, value in settings.items()}
    env |= {"INTEROP_LIMIT": str(limit)} | (environment or {})
    began = time.time()
    ended = subprocess.run(
        [os.environ["INTEROP_SENDER"]], env=env, capture_output=True, text=True, timeout=120, check=False
    )
    if ended.returncode not in (0, LOST):
        raise AssertionError(f"the sender ended with {ended.returncode}: {ended.stderr}")
    said = json.loads(ended.stdout)
    return Sent(
        said["traces"],
        said["shipped"],
        said["lost"],
        ended.returncode == LOST,
        began,
        time.time(),
        ended.stderr,
        said["error_ids"],
    )
