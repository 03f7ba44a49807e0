"""What a profile must look like, and whether it tells what the sender's own watch has seen."""

from __future__ import annotations

from dataclasses import dataclass

import profile_pb2

COMMENTS = ["service=interop-shop", "environment=interop", "release=1.2.3"]
# The text of the sender's statement, which no label may carry.
SECRET = b"secret"
# What the sender's agent filters by, and a tenth more for the watch's own cost.
FILTERED_BELOW = 0.005 * 1.1


class Mismatch(AssertionError):
    pass


def expect(condition: bool, *facts) -> None:
    if not condition:
        raise Mismatch(" ".join(map(str, facts)))


@dataclass
class Decoded:
    """A profile as stacks, root first, with their own times."""

    own_us: dict[tuple[str, ...], int]
    total_us: int
    duration_nanos: int

    def inclusive_us(self, frames: list[str]) -> int:
        """The time in which these frames were open in this order, other frames between them or not."""
        return sum(us for stack, us in self.own_us.items() if _is_subsequence(frames, stack))

    def flat_us(self) -> dict[str, int]:
        """Each frame's time as the innermost one."""
        flat: dict[str, int] = {}
        for stack, us in self.own_us.items():
            flat[stack[-1]] = flat.get(stack[-1], 0) + us
        return flat

    def cumulative_us(self) -> dict[str, int]:
        """Each frame's time wherever it is in the stack; once, however often it is in it."""
        cumulative: dict[str, int] = {}
        for stack, us in self.own_us.items():
            for name in set(stack):
                cumulative[name] = cumulative.get(name, 0) + us
        return cumulative


def decode(profile: profile_pb2.Profile) -> Decoded:
    """Checks the form of a profile and turns it into stacks."""
    strings = list(profile.string_table)
    expect(strings[:4] == ["", "self_us", "total_us", "microseconds"], "string table", strings[:4])
    expect(len(set(strings)) == len(strings), "a string is there twice", strings)
    types = [(strings[t.type], strings[t.unit]) for t in profile.sample_type]
    expect(types == [("self_us", "microseconds"), ("total_us", "microseconds")], types)
    expect(SECRET not in profile.SerializeToString(), "the contents of a message have left the process")
    names = _names(profile, strings)
    own_us = _own_times(profile, names)
    used = {name for stack in own_us for name in stack}
    expect(used == set(names.values()), "names without a sample", set(names.values()) - used)
    total = sum(own_us.values())
    expect(total == profile.duration_nanos // 1_000, "sum", total, "duration", profile.duration_nanos)
    comments = [strings[comment] for comment in profile.comment]
    expect(comments == COMMENTS, comments)
    expect(not profile.mapping and not profile.HasField("period_type") and not profile.period, "more than there is")
    return Decoded(own_us, total, profile.duration_nanos)


def _names(profile: profile_pb2.Profile, strings: list[str]) -> dict[int, str]:
    """Each location's name: one function and one location for each distinct name."""
    functions = {function.id: function for function in profile.function}
    ids = list(range(1, len(profile.function) + 1))
    expect(sorted(functions) == ids, "functions", sorted(functions))
    expect(sorted(location.id for location in profile.location) == ids, "locations are not one for each function")
    names = {}
    for location in profile.location:
        expect([line.function_id for line in location.line] == [location.id], "location", location)
        function = functions[location.id]
        expect(function.name == function.system_name, "function", function)
        expect(0 <= function.filename < len(strings), "function", function)
        names[location.id] = strings[function.name]
    expect(len(set(names.values())) == len(names), "a name has two functions", names)
    return names


def _own_times(profile: profile_pb2.Profile, names: dict[int, str]) -> dict[tuple[str, ...], int]:
    own_us: dict[tuple[str, ...], int] = {}
    for sample in profile.sample:
        stack = tuple(names[location] for location in reversed(sample.location_id))
        expect(len(sample.value) == 2 and sample.value[0] == sample.value[1] > 0, "sample", sample)
        expect(not sample.label, "sample", sample)
        expect(stack not in own_us, "a stack is there twice", stack)
        own_us[stack] = sample.value[0]
    return own_us


def compare(decoded: Decoded, done: dict) -> None:
    """Compares a profile with what the sender says it did."""
    root = f"{done['event_name']} {done['identifier']}"
    for stack in decoded.own_us:
        expect(stack[0] == root, "root", stack)
    for timed in done["timed"]:
        inclusive = decoded.inclusive_us([root, *timed["stack"]])
        at_least, at_most = timed["at_least_us"], timed["at_most_us"]
        # The agent's clock is another one, and each sample is cut to whole microseconds.
        slack = len(decoded.own_us) + at_most // 1_000
        is_filtered = inclusive == 0 and at_least <= FILTERED_BELOW * decoded.total_us
        is_within = at_least - slack <= inclusive <= at_most + slack
        expect(is_filtered or is_within, root, timed["stack"], "took", inclusive, "µs, not", at_least, "to", at_most)


def _is_subsequence(frames: list[str], stack: tuple[str, ...]) -> bool:
    rest = iter(stack)
    return all(frame in rest for frame in frames)
