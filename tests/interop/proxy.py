"""A real proxy, tinyproxy, on the loopback."""

from __future__ import annotations

import socket
import subprocess
import time
from pathlib import Path

PATIENCE = 10


class Proxy:
    """Runs while it is entered. Wants `user:password`, and connects to the loopback only."""

    def __init__(self, scratch: Path, credentials: str):
        user, password = credentials.split(":")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        self.address = f"127.0.0.1:{self._port}"
        self._log = scratch / "log"
        self._config = scratch / "tinyproxy.conf"
        self._config.write_text(
            f"Port {self._port}\nListen 127.0.0.1\nAllow 127.0.0.1\nBasicAuth {user} {password}\n"
            f'LogFile "{self._log}"\nLogLevel Connect\nTimeout 60\nMaxClients 20\n'
        )

    def __enter__(self) -> Proxy:
        self._process = subprocess.Popen(["tinyproxy", "-d", "-c", self._config], stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self._port), timeout=PATIENCE).close()
                return self
            except ConnectionRefusedError:
                if time.monotonic() > deadline or self._process.poll() is not None:
                    raise
                time.sleep(0.05)

    def __exit__(self, *_) -> None:
        self._process.terminate()
        self._process.wait(timeout=PATIENCE)

    def log(self) -> str:
        """What it says about its connections."""
        return self._log.read_text()
