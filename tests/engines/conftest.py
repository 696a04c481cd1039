"""A local Ray cluster of two processors, for tests that need one."""

import os

import pytest


@pytest.fixture(scope="session")
def cluster():
    ray = pytest.importorskip("ray", reason="the engine 'ray' needs Ray: pip install 'wsgraph[ray]'")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray.init(
        num_cpus=2,
        include_dashboard=False,
        object_store_memory=200 << 20,
        log_to_driver=False,
        logging_level="ERROR",
    )
    yield ray
    ray.shutdown()
