"""Flink's own word on settings: a key that is one stands as a text in some class of its distribution, where the option is made."""
import functools
import os
import zipfile

import pytest

import flink_cluster  # programs.py knows the way to tests/tools
import programs  # noqa: F401

PREFIXES = ("kubernetes.operator.", "job.autoscaler.")  # the operator's
# Parts of a key are names of one's own (a reporter), or the plugin's of S3.
FREE = {"metrics.reporter.prom.": "metrics.reporter.", "s3.": None}


@functools.cache
def texts():
    """All that the classes of flink-dist hold, as one text: their constants are kept as they are."""
    if not (flink_cluster.CACHE / f"flink-{flink_cluster.VERSION}/pyflink").exists() and not os.environ.get("PING_IMAGES"):
        pytest.skip("Flink's distribution is not in the cache: make flink-up or make soak fetches it, once")
    archive = next((flink_cluster.distribution() / "lib").glob("flink-dist-*.jar"))
    with zipfile.ZipFile(archive) as jar:
        names = [name for name in jar.namelist() if name.startswith("org/apache/flink/") and "Options" in name and name.endswith(".class")]
        return b"".join(jar.read(name) for name in names)


def unknown(keys):
    """Those that Flink does not know."""
    found = []
    for key in keys:
        if key.startswith(PREFIXES):
            continue
        free = next((prefix for prefix in FREE if key.startswith(prefix)), None)
        if free:
            key = key.removeprefix(free) if FREE[free] else ""
        if key and key.encode() not in texts():
            found.append(key)
    return found
