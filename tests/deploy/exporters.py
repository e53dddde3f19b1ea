"""What others' exporters show, from real servers by those exporters' own definitions, where the exporter itself is nowhere to be had."""
import http.server
import json
import re
import subprocess
import threading

import programs
import yaml


class Exporter:
    """Answers GET /metrics with what `read` returns: [(name, {label: value}, value)]."""

    def __init__(self, read):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                try:
                    lines = "".join(f"{name}{{{','.join(f'{key}={json_text(value)}' for key, value in labels.items())}}} {value}\n" for name, labels, value in read())
                except Exception as error:  # the server is away, as in an outage that is made: so is this scrape
                    self.send_error(503, str(type(error)))
                    return
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


JMX = "io.prometheus.jmx:jmx_prometheus_javaagent:1.0.1"
JMX_BEANS = ["kafka.server:type=BrokerTopicMetrics,*", "kafka.server:type=ReplicaManager,*", "kafka.controller:*", "kafka.network:type=SocketServer,*"]
# MBeans of Kafka by the names that Strimzi's reporter gives them.
JMX_RULES = [
    {"pattern": r"kafka.server<type=BrokerTopicMetrics, name=(\w+PerSec), topic=(.+)><>Count", "name": "kafka_server_brokertopicmetrics_$1_total",
     "labels": {"topic": "$2"}, "type": "COUNTER"},
    {"pattern": r"kafka.server<type=BrokerTopicMetrics, name=(\w+PerSec)><>Count", "name": "kafka_server_brokertopicmetrics_$1_total", "type": "COUNTER"},
    {"pattern": r"kafka.controller<type=ControllerStats, name=(\w+PerSec)><>Count", "name": "kafka_controller_controllerstats_$1_total", "type": "COUNTER"},
    {"pattern": r"kafka.(\w+)<type=(\w+), name=(\w+)><>Value", "name": "kafka_$1_$2_$3", "type": "GAUGE"},
]


def jmx_agent(folder, port):
    """The flag with which Kafka shows its own numbers on a port; the agent is fetched once."""
    jar = programs.CACHE / f"{JMX.split(':')[1]}-{JMX.split(':')[2]}.jar"
    if not jar.exists():
        subprocess.run(["mvn", "-q", "-B", "dependency:copy", f"-Dartifact={JMX}", f"-DoutputDirectory={programs.CACHE}"], check=True, cwd=folder)
    (folder / "jmx.yaml").write_text(yaml.safe_dump({"lowercaseOutputName": True, "includeObjectNames": JMX_BEANS, "rules": JMX_RULES}))
    return f"-javaagent:{jar}=127.0.0.1:{port}:{folder / 'jmx.yaml'}"


def cloudnative_pg(postgres):
    """The queries that CloudNativePG's instance manager makes, from its release; each column is cnpg_QUERY_COLUMN."""
    text = (programs.get("schemas") / "cnpg-monitoring.yaml").read_text()
    queries = yaml.safe_load(next(yaml.safe_load_all(text))["data"]["queries"])
    version = postgres.number("SHOW server_version_num") // 10000
    usages = {name: {column: about["usage"] for metric in query["metrics"] for column, about in metric.items()} for name, query in queries.items()
              if is_for(query.get("runonserver"), version)}
    wanted = [name for name in usages if {"GAUGE", "COUNTER"} & set(usages[name].values())]
    # All in one statement, as a psql is started for it.
    parts = [f"'{name}', (SELECT coalesce(json_agg(t), '[]') FROM ({queries[name]['query'].strip().rstrip(';')}) t)" for name in wanted]
    statement = f"SELECT json_build_object({', '.join(parts)})"

    def read():
        for name, rows in json.loads(postgres.sql(statement)).items():
            for row in rows:
                labels = {column: row[column] for column, usage in usages[name].items() if usage == "LABEL"}
                for column, usage in usages[name].items():
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
