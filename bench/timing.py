"""Times, as training.lua takes them."""
import time

SETTLE_SECONDS = 0.1  # of calls that are not timed


def median(work, count):
    """Median milliseconds of count calls, once the program is awake."""
    times, until = [], time.perf_counter() + SETTLE_SECONDS
    while time.perf_counter() < until:
        work()
    for _ in range(count):
        before = time.perf_counter()
        work()
        times.append((time.perf_counter() - before) * 1e3)
    return sorted(times)[len(times) // 2]
