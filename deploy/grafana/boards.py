"""Grafana's dashboards as data: each board is rows of panels, each panel queries. scripts/generate-deploy writes them as JSON.

Every metric in a query is one that a program exposes; tests/deploy holds them to that.
"""

import re

SUBJECT = re.compile(r"^(ping_(ingest|publisher|engine|store)|ping|http|kafka_server_brokertopicmetrics|scylla_storage_proxy_coordinator)_")  # the panel's title says it
PING = 'method="ping.v1.PingService/Ping"'
SECONDS, PER_SECOND, BYTES, SHARE, COUNT = "s", "ops", "bytes", "percentunit", "short"
OF_TOPICS, OF_ALL = '{topic!=""}', '{topic=""}'  # each topic's, where it has had any; and the sum of all
OWED = "unknown|deadline_exceeded|resource_exhausted|internal|unavailable|data_loss"


def quantiles(metric, by="", where=""):
    """p50, p99 of a histogram."""
    labels = ", ".join(["le", *([by] if by else [])])
    legend = f" {{{{{by}}}}}" if by else ""
    return [(f"histogram_quantile({q}, sum by ({labels}) (rate({metric}_bucket{where}[$__rate_interval])))", f"p{round(q * 100)}{legend}") for q in (0.5, 0.99)]


def per_second(metric, by="", where=""):
    legend = f"{{{{{by}}}}}" if by else SUBJECT.sub("", metric).removesuffix("_total").replace("persec", "").replace("_", " ")
    grouping = f" by ({by})" if by else ""
    return [(f"sum{grouping} (rate({metric}{where}[$__rate_interval]))", legend)]


def happening(metric, by, where=""):
    """The same, without lines of zeros."""
    return [(f"{query} > 0", legend) for query, legend in per_second(metric, by, where)]


SERVICE = ("Ping: service", [
    ("Objectives", [
        ("Pings a second", PER_SECOND, [(f"sum(rate(rpc_requests_total{{{PING}}}[$__rate_interval]))", "all"),
                                        (f'sum(rate(rpc_requests_total{{{PING},code="ok"}}[$__rate_interval]))', "ok")]),
        ("Share of pings that fail (objective: 0.1 %)", SHARE, [("ping:errors:ratio5m", "5 min"), ("ping:errors:ratio1h", "1 h"), ("ping:errors:ratio6h", "6 h")]),
        ("Share of time behind by more than 10 s", SHARE, [("ping:stale:ratio5m", "5 min"), ("ping:stale:ratio1h", "1 h"), ("ping:stale:ratio6h", "6 h")]),
    ]),
    ("Calls", [
        ("How long a Ping takes", SECONDS, quantiles("rpc_duration_seconds", where=f"{{{PING}}}")),
        ("How long queries take, p99", SECONDS, quantiles("rpc_duration_seconds", by="method", where='{method=~"ping.v1.(MetricsService/(List|Get).*|PingService/PingCount)"}')[1:]),
        ("Calls that fail, by code", PER_SECOND, happening("rpc_requests_total", by="code", where=f'{{code=~"{OWED}"}}')),
        ("Calls by method", PER_SECOND, happening("rpc_requests_total", by="method")),
    ]),
    ("Processes", [
        ("Connections", COUNT, [("sum by (instance) (http_connections)", "{{instance}}")]),
        ("Watchers", COUNT, [("sum by (instance) (ping_watchers)", "{{instance}}")]),
        ("Memory", BYTES, [("process_resident_memory_bytes{job=~\".*pingd\"}", "{{instance}}"), ("sum(http_held_bytes)", "held for requests and answers")]),
        ("CPU", SHARE, per_second("process_cpu_seconds_total", by="instance", where='{job=~".*pingd"}')),
        ("Connections turned away", PER_SECOND, per_second("http_connections_refused_total") + per_second("http_protocol_errors_total")
         + per_second("http_timeouts_total") + per_second("http_crowded_total") + per_second("http_tls_failures_total")),
        ("Replicas", COUNT, [('kube_horizontalpodautoscaler_status_current_replicas{horizontalpodautoscaler="pingd"}', "now"),
                             ('kube_horizontalpodautoscaler_spec_max_replicas{horizontalpodautoscaler="pingd"}', "at most")]),
    ]),
])

PIPELINE = ("Ping: pipeline", [
    ("In: group commit", [
        ("Kept, refused, failed", PER_SECOND, per_second("ping_ingest_accepted_total") + per_second("ping_ingest_duplicates_total")
         + per_second("ping_ingest_rejected_total") + per_second("ping_ingest_failed_total")),
        ("Pings that wait", COUNT, [("sum by (instance) (ping_ingest_queue_pings)", "{{instance}}")]),
        ("Pings in a batch", COUNT, quantiles("ping_ingest_batch_pings")),
        ("How long a batch takes", SECONDS, quantiles("ping_ingest_commit_seconds")),
    ]),
    ("Publishers: PostgreSQL and Kafka as one", [
        ("Publishers", COUNT, [("sum(ping_publishers)", "all"), ("sum(ping_publishers_ready)", "ready")]),
        ("Batches", PER_SECOND, per_second("ping_publisher_batches_total") + per_second("ping_publisher_failed_batches_total")
         + per_second("ping_publisher_unknown_batches_total") + per_second("ping_publisher_aborted_batches_total") + per_second("ping_publisher_recovered_batches_total")),
        ("PostgreSQL's calls, p99", SECONDS, quantiles("ping_ledger_call_seconds", by="call")[1:]),
        ("Kafka's calls, p99", SECONDS, quantiles("ping_log_call_seconds", by="call")[1:]),
        ("Trouble", PER_SECOND, per_second("ping_publisher_retries_total") + per_second("ping_publisher_fenced_total") + per_second("ping_publisher_ledger_lost_total")
         + per_second("ping_ledger_failed_calls_total") + per_second("ping_log_failed_calls_total")),
        ("Batches that Kafka lacks (outbox)", COUNT, [("max by (publisher) (ping_publisher_behind)", "{{publisher}}")]),
    ]),
    ("Out: metrics", [
        ("Events that wait, native engine", COUNT, [("max by (instance) (ping_engine_lag_events)", "{{instance}}")]),
        ("Events that wait, by group", COUNT, [('sum by (consumergroup) (kafka_consumergroup_lag{topic="raw-pings"})', "{{consumergroup}}")]),
        ("Newest ping stored, native engine", SECONDS, [("time() - max(ping_engine_newest_applied_timestamp_seconds > 0)", "age")]),
        ("Events applied", PER_SECOND, per_second("ping_engine_applied_events_total") + per_second("ping_engine_skipped_events_total") + per_second("ping_engine_expired_events_total")),
        ("Rows written", PER_SECOND, per_second("ping_store_written_rows_total") + per_second("ping_store_writes_total")),
        ("Rows in memory", COUNT, [("sum(ping_engine_cached_rows)", "all"), ("sum(ping_engine_dirty_rows)", "not in the store yet")]),
        ("Rows that an event found in memory", SHARE, [("sum(rate(ping_engine_cache_hits_total[$__rate_interval])) / (sum(rate(ping_engine_cache_hits_total[$__rate_interval])) + sum(rate(ping_engine_loaded_rows_total[$__rate_interval])))", "share")]),
        ("The store's calls, p99", SECONDS, quantiles("ping_store_call_seconds", by="call")[1:]),
        ("Rows that are written together", COUNT, quantiles("ping_store_flush_rows")),
        ("Partitions that come and go", PER_SECOND, per_second("ping_engine_rebalanced_partitions_total", by="how")),
        ("Dead letters", COUNT, [('sum(kafka_topic_partition_current_offset{topic="raw-pings-dead"}) - sum(kafka_topic_partition_oldest_offset{topic="raw-pings-dead"})', "kept")]),
        ("Audits that found something", COUNT, [('sum(kube_job_failed{job_name=~"ping-audit-.+",condition="true"})', "failed")]),
    ]),
])

KAFKA = ("Ping: Kafka", [
    ("Health", [
        ("Partitions without a leader", COUNT, [("sum(kafka_controller_kafkacontroller_offlinepartitionscount)", "offline")]),
        ("Partitions that lack replicas", COUNT, [("sum by (kubernetes_pod_name) (kafka_server_replicamanager_underreplicatedpartitions)", "{{kubernetes_pod_name}}")]),
        ("Active controllers", COUNT, [("sum(kafka_controller_kafkacontroller_activecontrollercount)", "controllers")]),
        ("Unclean elections", COUNT, [("sum(kafka_controller_controllerstats_uncleanleaderelectionspersec_total)", "since the start")]),
    ]),
    ("Flow", [
        ("Messages in", PER_SECOND, per_second("kafka_server_brokertopicmetrics_messagesinpersec_total", by="topic", where=OF_TOPICS)),
        ("Bytes in", BYTES, per_second("kafka_server_brokertopicmetrics_bytesinpersec_total", by="kubernetes_pod_name", where=OF_TOPICS)),
        ("Bytes out", BYTES, per_second("kafka_server_brokertopicmetrics_bytesoutpersec_total", by="kubernetes_pod_name", where=OF_TOPICS)),
        ("Requests that failed", PER_SECOND, per_second("kafka_server_brokertopicmetrics_failedproducerequestspersec_total", where=OF_ALL)
         + per_second("kafka_server_brokertopicmetrics_failedfetchrequestspersec_total", where=OF_ALL)),
    ]),
    ("Topics and groups", [
        ("Lag by partition", COUNT, [('max by (consumergroup, partition) (kafka_consumergroup_lag{topic="raw-pings"})', "{{consumergroup}} {{partition}}")]),
        ("Events kept by partition", COUNT, [('max by (partition) (kafka_topic_partition_current_offset{topic="raw-pings"} - kafka_topic_partition_oldest_offset{topic="raw-pings"})', "{{partition}}")]),
        ("Replicas in sync", COUNT, [('min by (topic) (kafka_topic_partition_in_sync_replica)', "{{topic}}")]),
        ("Disk that is left", SHARE, [('kubelet_volume_stats_available_bytes{persistentvolumeclaim=~"data-.*ping-broker-.*"} / kubelet_volume_stats_capacity_bytes', "{{persistentvolumeclaim}}")]),
    ]),
    ("Brokers", [
        ("Heap", BYTES, [('sum by (kubernetes_pod_name) (jvm_memory_used_bytes{strimzi_io_cluster="ping",area="heap"})', "{{kubernetes_pod_name}}")]),
        ("Network threads idle", SHARE, [("avg by (kubernetes_pod_name) (kafka_network_socketserver_networkprocessoravgidlepercent)", "{{kubernetes_pod_name}}")]),
    ]),
])

FLINK = ("Ping: Flink", [
    ("Job", [
        ("Jobs that run", COUNT, [("max(flink_jobmanager_numRunningJobs)", "running")]),
        ("Restarts", COUNT, [("max(flink_jobmanager_job_numRestarts)", "since the start")]),
        ("TaskManagers", COUNT, [("max(flink_jobmanager_numRegisteredTaskManagers)", "registered")]),
        ("Slots free", COUNT, [("max(flink_jobmanager_taskSlotsAvailable)", "free"), ("max(flink_jobmanager_taskSlotsTotal)", "all")]),
    ]),
    ("Checkpoints", [
        ("Checkpoints", COUNT, [("max(increase(flink_jobmanager_job_numberOfCompletedCheckpoints[$__rate_interval]))", "completed"),
                                ("max(increase(flink_jobmanager_job_numberOfFailedCheckpoints[$__rate_interval]))", "failed")]),
        ("How long the last took", "ms", [("max(flink_jobmanager_job_lastCheckpointDuration)", "last")]),
        ("How large the last was", BYTES, [("max(flink_jobmanager_job_lastCheckpointSize)", "last")]),
    ]),
    ("Stream", [
        ("Records in", PER_SECOND, [("sum by (task_name) (flink_taskmanager_job_task_numRecordsInPerSecond)", "{{task_name}}")]),
        ("Records that wait in Kafka", COUNT, [("sum(flink_taskmanager_job_task_operator_pendingRecords)", "pending")]),
        ("Age of events at the source", "ms", [("max(flink_taskmanager_job_task_operator_currentEmitEventTimeLag)", "at most")]),
        ("Pings", PER_SECOND, [("sum(rate(flink_taskmanager_job_task_operator_pings[$__rate_interval]))", "all"),
                               ("sum(rate(flink_taskmanager_job_task_operator_latePings[$__rate_interval]))", "late"),
                               ("sum(rate(flink_taskmanager_job_task_operator_skippedPings[$__rate_interval]))", "in already")]),
        ("Dead letters", PER_SECOND, [("sum(rate(flink_taskmanager_job_task_operator_deadLetters[$__rate_interval]))", "dead letters")]),
        ("Age of pings as their rows are written", "ms", [("max(flink_taskmanager_job_task_operator_freshnessMs)", "at most")]),
        ("How long the last write took", "ms", [("max by (subtask_index) (flink_taskmanager_job_task_operator_flushMs)", "{{subtask_index}}")]),
        ("Rows that wait to be written", COUNT, [("sum(flink_taskmanager_job_task_operator_rowsWaiting)", "rows")]),
        ("Busy", SHARE, [("avg by (task_name) (flink_taskmanager_job_task_busyTimeMsPerSecond) / 1000", "{{task_name}}")]),
        ("Back-pressured", SHARE, [("avg by (task_name) (flink_taskmanager_job_task_backPressuredTimeMsPerSecond) / 1000", "{{task_name}}")]),
        ("Heap", BYTES, [("sum by (tm_id) (flink_taskmanager_Status_JVM_Memory_Heap_Used)", "{{tm_id}}"), ("sum(flink_jobmanager_Status_JVM_Memory_Heap_Used)", "JobManager")]),
    ]),
])

SCYLLADB = ("Ping: ScyllaDB", [
    ("Health", [
        ("Nodes in normal operation", COUNT, [("count(scylla_node_operation_mode == 3)", "normal"), ("count(scylla_node_operation_mode)", "all")]),
        ("Load of the reactor", SHARE, [("avg by (instance) (scylla_reactor_utilization) / 100", "{{instance}}")]),
        ("Disk that is left", SHARE, [('kubelet_volume_stats_available_bytes{persistentvolumeclaim=~"data-ping-scylla-.*"} / kubelet_volume_stats_capacity_bytes', "{{persistentvolumeclaim}}")]),
    ]),
    ("Requests", [
        ("Requests served", PER_SECOND, per_second("scylla_transport_requests_served", by="instance")),
        ("Requests shed", PER_SECOND, per_second("scylla_transport_requests_shed", by="instance")),
        ("Writes", PER_SECOND, per_second("scylla_storage_proxy_coordinator_write_latency_count", by="instance")),
        ("Reads", PER_SECOND, per_second("scylla_storage_proxy_coordinator_read_latency_count", by="instance")),
        ("Timeouts", PER_SECOND, per_second("scylla_storage_proxy_coordinator_write_timeouts") + per_second("scylla_storage_proxy_coordinator_read_timeouts")
         + per_second("scylla_storage_proxy_coordinator_cas_read_timeouts")),
        ("Found in the cache", SHARE, [("sum(rate(scylla_cache_row_hits[$__rate_interval])) / (sum(rate(scylla_cache_row_hits[$__rate_interval])) + sum(rate(scylla_cache_row_misses[$__rate_interval])))", "rows")]),
    ]),
    ("Storage", [
        ("Size of the keyspace", BYTES, [('sum by (cf) (scylla_column_family_live_disk_space{ks="metrics"})', "{{cf}}")]),
        ("Compactions", COUNT, [("sum by (instance) (scylla_compaction_manager_compactions)", "{{instance}}")]),
    ]),
])

POSTGRESQL = ("Ping: PostgreSQL", [
    ("Health", [
        ("Instances that are up", COUNT, [('sum(cnpg_collector_up{cluster="ping-db"})', "up")]),
        ("Standbys that stream", COUNT, [("max(cnpg_pg_replication_streaming_replicas)", "streaming"), ('max(cnpg_collector_sync_replicas{value="expected"})', "waited for")]),
        ("Lag of the standbys", SECONDS, [("max by (pod) (cnpg_pg_replication_lag)", "{{pod}}")]),
        ("Age of the newest backup", SECONDS, [("time() - max(cnpg_collector_last_available_backup_timestamp > 0)", "age")]),
    ]),
    ("Work", [
        ("Connections", COUNT, [("sum by (state) (cnpg_backends_total)", "{{state}}")]),
        ("Transactions", PER_SECOND, [('sum(rate(cnpg_pg_stat_database_xact_commit{datname="ping"}[$__rate_interval]))', "committed"),
                                      ('sum(rate(cnpg_pg_stat_database_xact_rollback{datname="ping"}[$__rate_interval]))', "rolled back")]),
        ("Who waits for a lock", COUNT, [("max(cnpg_backends_waiting_total)", "waiting")]),
        ("Longest transaction", SECONDS, [("max(cnpg_backends_max_tx_duration_seconds)", "longest")]),
    ]),
    ("Storage", [
        ("Size of the database", BYTES, [('max(cnpg_pg_database_size_bytes{datname="ping"})', "ping")]),
        ("WAL", BYTES, [('max by (pod) (cnpg_collector_pg_wal{value="size"})', "{{pod}}")]),
        ("Disk that is left", SHARE, [('kubelet_volume_stats_available_bytes{persistentvolumeclaim=~"ping-db-.*"} / kubelet_volume_stats_capacity_bytes', "{{persistentvolumeclaim}}")]),
    ]),
    ("Pooler", [
        ("Clients", COUNT, [("sum(cnpg_pgbouncer_pools_cl_active)", "active"), ("sum(cnpg_pgbouncer_pools_cl_waiting)", "waiting")]),
        ("Longest wait for a connection", SECONDS, [("max(cnpg_pgbouncer_pools_maxwait)", "wait")]),
    ]),
])

BOARDS = {"service": SERVICE, "pipeline": PIPELINE, "kafka": KAFKA, "flink": FLINK, "scylladb": SCYLLADB, "postgresql": POSTGRESQL}
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
WIDTH, HEIGHT = 24, 7


def panel(number, title, unit, queries, place):
    return {"id": number, "type": "timeseries", "title": title, "datasource": SOURCE, "gridPos": place,
            "fieldConfig": {"defaults": {"unit": unit, "min": 0, "custom": {"lineWidth": 1, "fillOpacity": 8, "showPoints": "never"}}, "overrides": []},
            "options": {"legend": {"showLegend": True, "displayMode": "list", "placement": "bottom", "calcs": []},
                        "tooltip": {"mode": "multi", "sort": "desc"}},
            "targets": [{"refId": chr(ord("A") + i), "datasource": SOURCE, "expr": expression, "legendFormat": legend} for i, (expression, legend) in enumerate(queries)]}


def dashboard(name):
    """The board as Grafana's JSON."""
    title, rows = BOARDS[name]
    panels, y, number = [], 0, 0
    for row, found in rows:
        number += 1
        panels.append({"id": number, "type": "row", "title": row, "collapsed": False, "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1}, "panels": []})
        y += 1
        columns = 4 if len(found) % 4 == 0 else 3 if len(found) % 3 == 0 or len(found) > 4 else len(found)
        width = WIDTH // columns
        for i, (label, unit, queries) in enumerate(found):
            number += 1
            panels.append(panel(number, label, unit, queries, {"x": i % columns * width, "y": y + i // columns * HEIGHT, "w": width, "h": HEIGHT}))
        y += -(-len(found) // columns) * HEIGHT
    source = {"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus", "hide": 0}
    return {"uid": f"ping-{name}", "title": title, "tags": ["ping"], "schemaVersion": 39, "version": 1, "editable": False, "refresh": "30s", "timezone": "browser",
            "time": {"from": "now-3h", "to": "now"}, "templating": {"list": [source]}, "annotations": {"list": []}, "panels": panels,
            "links": [{"type": "dashboards", "tags": ["ping"], "title": "Ping", "tooltip": "", "icon": "", "asDropdown": True, "includeVars": True, "keepTime": True, "targetBlank": False}]}
