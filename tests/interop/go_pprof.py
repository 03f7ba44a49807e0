"""Reads profiles with `go tool pprof`, as a person does."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

# Nothing left out, nothing rounded, names as they are in the file.
WHOLE = ["-symbolize=none", "-unit=us", "-nodecount=1000000", "-nodefraction=0", "-edgefraction=0"]
ROW = re.compile(r"^ *(\d+)(?:us)? +[\d.]+% +[\d.]+% +(\d+)(?:us)? +[\d.]+% +(.+?)$")
TOTAL = re.compile(r"of (\d+)us total$", re.MULTILINE)
FIRST_OF_TRACE = re.compile(r"^ *(\d+)us   (.+)$")
SEPARATOR = "-----------+"


def pprof(*arguments: str) -> str:
    # A newer Go would look for the toolchain and for modules that it wants, outside of this machine.
    env = {**os.environ, "GOTOOLCHAIN": "local", "GOPROXY": "off", "GOTELEMETRY": "off", "GOFLAGS": ""}
    command = ["go", "tool", "pprof", *arguments]
    ended = subprocess.run(command, env=env, capture_output=True, text=True, timeout=300, check=False)
    if ended.returncode != 0:
        raise AssertionError(f"{' '.join(command)} ended with {ended.returncode}: {ended.stderr}")
    return ended.stdout


def total_us(top: str) -> int:
    found = TOTAL.search(top)
    assert found, top
    return int(found[1])


def top(file: Path, sample_index: str) -> tuple[int, dict[str, tuple[int, int]]]:
    """The total, and each frame's flat and cumulative time."""
    text = pprof("-top", f"-sample_index={sample_index}", *WHOLE, str(file))
    head, rows = text.split("cum%\n", 1)
    frames = {}
    for line in rows.splitlines():
        row = ROW.match(line)
        assert row, line
        assert row[3] not in frames, line
        frames[row[3]] = (int(row[1]), int(row[2]))
    return total_us(head), frames


def traces(file: Path) -> dict[tuple[str, ...], int]:
    """Each stack, root first, and its own time."""
    text = pprof("-traces", "-sample_index=self_us", *WHOLE, str(file))
    stacks = {}
    for block in re.split(rf"^{re.escape(SEPARATOR)}-*\n", text, flags=re.MULTILINE)[1:]:
        lines = block.splitlines()
        if not lines:
            continue
        first = FIRST_OF_TRACE.match(lines[0])
        assert first, block
        stack = (first[2], *(line.strip() for line in lines[1:]))
        stacks[tuple(reversed(stack))] = int(first[1])
    return stacks
