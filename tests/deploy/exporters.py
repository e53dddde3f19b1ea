"""What others' exporters show, from real servers by those exporters' own definitions, where the exporter itself is nowhere to be had."""
import http.server
import json
import re
import threading

import programs
import yaml


class Exporter:
    """Answers GET /metrics with what `read` returns: [(name, {label: value}, value)]."""

    def __init__(self, read):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                lines = "".join(f"{name}{{{','.join(f'{key}={json_text(value)}' for key, value in labels.items())}}} {value}\n" for name, labels, value in read())
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                self.wfile.write(lines.encode())

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def end(self):
        self.server.shutdown()
        self.server.server_close()


def json_text(value):
    return '"' + str(value).replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n") + '"'


def is_for(condition, version):
    """runonserver: ">=17.0.0" """
    if not condition:
        return True
    sign, number = re.fullmatch(r"([<>]=?)(\d+)[\d.]*", condition.replace(" ", "")).groups()
    return {"<": version < int(number), ">=": version >= int(number)}[sign]


def cloudnative_pg(postgres):
    """The queries that CloudNativePG's instance manager makes, from its release; each column is cnpg_QUERY_COLUMN."""
    text = (programs.get("schemas") / "cnpg-monitoring.yaml").read_text()
    queries = yaml.safe_load(next(yaml.safe_load_all(text))["data"]["queries"])
    version = postgres.number("SHOW server_version_num") // 10000

    def read():
        for name, query in queries.items():
            if not is_for(query.get("runonserver"), version):
                continue
            usages = {column: about["usage"] for metric in query["metrics"] for column, about in metric.items()}
            if not any(usage in ("GAUGE", "COUNTER") for usage in usages.values()):
                continue
            for row in json.loads(postgres.sql(f"SELECT coalesce(json_agg(t), '[]') FROM ({query['query'].strip().rstrip(';')}) t")):
                labels = {column: row[column] for column, usage in usages.items() if usage == "LABEL"}
                for column, usage in usages.items():
                    if usage in ("GAUGE", "COUNTER") and row.get(column) is not None:
                        yield f"cnpg_{name}_{column}", labels, float(row[column])

    return Exporter(read)


def kafka_offsets(addresses, group):
    """kafka-exporter's: offsets of each partition, a group's lag."""
    from confluent_kafka import Consumer, TopicPartition
    consumer = Consumer({"bootstrap.servers": addresses, "group.id": group, "enable.auto.commit": False})
    lock = threading.Lock()

    def read():
        with lock:
            for topic, about in consumer.list_topics(timeout=20).topics.items():
                for number, partition in about.partitions.items():
                    place = {"topic": topic, "partition": number}
                    first, end = consumer.get_watermark_offsets(TopicPartition(topic, number), timeout=20)
                    yield "kafka_topic_partition_oldest_offset", place, first
                    yield "kafka_topic_partition_current_offset", place, end
                    yield "kafka_topic_partition_in_sync_replica", place, len(partition.isrs)
                    if topic == "raw-pings":
                        at = consumer.committed([TopicPartition(topic, number)], timeout=20)[0].offset
                        yield "kafka_consumergroup_lag", {**place, "consumergroup": group}, end - max(at, first)

    return Exporter(read)
