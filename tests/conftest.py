"""Settings that hold for every test.

Hypothesis profiles (choose one with ``--hypothesis-profile``):

* ``default``: new examples at each run; a failure prints the blob that reproduces it.
* ``ci`` (taken when ``CI`` is set): the same examples each time, so that a verdict depends on
  the change alone.
* ``thorough``: many more examples, for a night or for work on the engine.

No profile has a deadline: machines differ, and speed is measured in ``benchmarks``.
"""

import os
import signal
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import HealthCheck, settings

settings.register_profile(
    "default",
    deadline=None,
    derandomize=False,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("ci", settings.get_profile("default"), derandomize=True, database=None)
settings.register_profile("thorough", settings.get_profile("default"), max_examples=5_000)
settings.load_profile("ci" if os.environ.get("CI") else "default")

# A run in the background (a CI job, `nohup`) is started with Ctrl-C ignored, and every program
# that a test starts would inherit that; the tests press Ctrl-C for real.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """How a command has its logs printed is no other test's: its streams may be closed by then."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)
