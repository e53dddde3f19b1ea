"""The native engine's way from Kafka to rows, for benches: events that stand in raw-pings, and how fast they are read, decoded, aggregated.

    with kafka.running(folder) as cluster:
        stream_native.produce(cluster, events=10_000_000, clients=10_000)
        alone = stream_native.measure(cluster, "read", 10_000_000)     # librdkafka alone
        ours = stream_native.measure(cluster, "engine", 10_000_000)    # reader, stream, engine

Each returns what stream_bench prints: events, seconds, events_per_second, cpu_ns_per_event, rss_mb.
"""
import json
import subprocess

from common import BUILD

PARTITIONS = 6
CLIENTS, SPAN_S = 10_000, 3600
STEP_TIMEOUT_S = 900


def make_topics(cluster, **configs):
    """raw-pings and raw-pings-dead, new and empty."""
    from confluent_kafka.admin import AdminClient, NewTopic
    cluster.delete_topics("raw-pings", "raw-pings-dead")
    admin = AdminClient({"bootstrap.servers": cluster.addresses})
    settings = {"message.timestamp.type": "LogAppendTime", **configs}
    topics = [NewTopic(name, num_partitions=PARTITIONS, replication_factor=1, config=settings) for name in ("raw-pings", "raw-pings-dead")]
    for made in admin.create_topics(topics, operation_timeout=60).values():
        made.result()


def step(cluster, what, *arguments):
    done = subprocess.run([BUILD / "bench" / "stream_bench", cluster.addresses, what, *map(str, arguments)], capture_output=True, text=True,
                          timeout=STEP_TIMEOUT_S)
    if done.returncode != 0:
        raise SystemExit(f"stream_bench {what} ended with {done.returncode}: {done.stderr}")
    return json.loads(done.stdout)


def produce(cluster, events, clients=CLIENTS, span_s=SPAN_S, new_topics=True):
    """Events of random clients, their times spread over the `span_s` seconds before now, in order."""
    if new_topics:
        make_topics(cluster)
    return step(cluster, "produce", events, clients, span_s)


def measure(cluster, what, events):
    """what: read (librdkafka alone), decode (pingd's reader), engine (reader, stream and engine over a store that keeps nothing)."""
    return step(cluster, what, events)
