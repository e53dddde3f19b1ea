"""Rules and boards: every query parses, every metric in one is one that some program exposes."""
import http.client
import json
import os
import pathlib
import re
import shutil
import subprocess
import time

import pytest
import yaml

import flink_cluster
import processes
import programs
from ports import reserve_one as free_port
from conftest import CHART, HERE, ROOT
from test_rules import RULES, promtool

EXPORTERS = yaml.safe_load((HERE / "exporters.yaml").read_text())
# As the reporters of a real cluster exposed them with the job on it.
FLINK = flink_cluster.known_metrics()
WORDS = {"and", "or", "unless", "by", "without", "on", "ignoring", "group_left", "group_right", "bool", "offset"}
BUILD = pathlib.Path(os.environ.get("PING_BUILD", ROOT / "build"))


def boards():
    return {file.stem: json.loads(file.read_text()) for file in sorted((CHART / "files/dashboards").glob("*.json"))}


def board_queries():
    return [(f"{name}: {panel['title']}", target["expr"].replace("$__rate_interval", "5m"))
            for name, board in boards().items() for panel in board["panels"] for target in panel.get("targets", [])]


def rules():
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def metrics_in(query):
    """Names of metrics: identifiers that are no function, no keyword and no label."""
    query = re.sub(r'"(\\.|[^"\\])*"', '""', query)
    query = re.sub(r"\{[^}]*\}", "", query)
    query = re.sub(r"\b(by|without|on|ignoring|group_left|group_right)\s*\([^)]*\)", "", query)
    query = re.sub(r"\[[^\]]*\]", "", query)
    return {word for word in re.findall(r"[A-Za-z_][\w:]*(?!\s*\()(?![\w:])", query) if word not in WORDS}


def test_names_are_found_in_queries():
    assert metrics_in('sum by (le, a) (rate(x_bucket{b="c_d"}[5m])) / on (z) group_left (y) (w:v > bool 0) or absent(up{job=~"(e)f"} == 1)') == {"x_bucket", "w:v", "up"}


def scrape(arguments, folder, listen="", scraped="--listen", seconds=180):
    """The metrics that a pingd exposes: {name as a query may have it}."""
    port = free_port()
    with open(folder / "pingd.log", "ab") as log:
        process = subprocess.Popen(processes.tied([BUILD / "pingd", f"{scraped}=127.0.0.1:{port}", f"--data-dir={folder / 'data'}", *([listen] if listen else []), *arguments]),
                                   stdout=log, stderr=log)
    try:
        end = time.monotonic() + seconds
        while True:
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
                connection.request("GET", "/metrics")
                text = connection.getresponse().read().decode()
                if "\nhttp_connections " in text:  # what is told of the server itself comes last
                    break
            except (OSError, http.client.HTTPException):
                pass
            assert process.poll() is None and time.monotonic() < end, (folder / "pingd.log").read_text()[-2000:]
            time.sleep(0.05)
    finally:
        process.terminate()
        process.wait(180)
    found = set()
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.M):
        found |= {f"{name}_bucket", f"{name}_sum", f"{name}_count"} if kind == "histogram" else {name}
    return found


@pytest.fixture(scope="module")
def exposed(tmp_path_factory):
    if not (BUILD / "pingd").exists():
        pytest.skip(f"no pingd in {BUILD}")
    folder = tmp_path_factory.mktemp("embedded")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=ping",
                    "-keyout", folder / "pem", "-out", folder / "crt"], check=True, capture_output=True)
    (folder / "pem").write_text((folder / "pem").read_text() + (folder / "crt").read_text())
    alone = scrape([f"--tls-certificate={folder / 'pem'}"], folder, listen="--listen=127.0.0.1:0", scraped="--listen-plain")
    # Nobody is there: pingd starts before its servers do, and says so in its metrics.
    nowhere = f"127.0.0.1:{free_port()}"
    cluster = scrape([f"--ledger=postgres://ping@{nowhere}/ping", f"--log=kafka://{nowhere}", "--publish=outbox"], tmp_path_factory.mktemp("cluster"))
    return alone | cluster


def test_every_metric_is_exposed_by_some_program(exposed):
    known = exposed | FLINK | {rule["record"] for rule in rules() if "record" in rule} | {name for one in EXPORTERS.values() for name in one["metrics"]}
    queries = board_queries() + [(rule.get("alert") or rule["record"], rule["expr"]) for rule in rules()]
    assert len(queries) > 120
    unknown = [(where, name) for where, query in queries for name in sorted(metrics_in(query) - known)]
    assert not unknown, unknown


def test_every_exporter_s_name_is_used_and_has_a_source():
    used = {name for _, query in board_queries() + [("", rule["expr"]) for rule in rules()] for name in metrics_in(query)}
    for exporter, found in EXPORTERS.items():
        assert found["source"], exporter
        assert set(found["metrics"]) <= used, f"{exporter}: {set(found['metrics']) - used} is used nowhere"


def test_every_name_of_flink_s_in_the_documents_is_one_that_it_exposes():
    pages = {page.name: page.read_text() for page in [*(ROOT / "docs").rglob("*.md"), *(ROOT / "deploy").rglob("*.md")]}
    named = {(page, name) for page, text in pages.items() for name in re.findall(r"\bflink_(?:job|task)manager_\w*[a-zA-Z]\b(?!_)", text)}
    table = re.search(r"^\| operator \|.*?\n\n", pages["FLINK.md"], re.M | re.S)[0]
    named |= {("FLINK.md", f"flink_taskmanager_job_task_operator_{name}") for row in table.strip().splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[2])}
    assert len(named) > 15
    assert not {(page, name) for page, name in named if name not in FLINK}


def test_every_board_s_query_parses(tmp_path):
    (tmp_path / "queries.yaml").write_text(yaml.safe_dump({"groups": [{"name": "boards", "rules": [
        {"record": f"query:{i}", "expr": query} for i, (_, query) in enumerate(board_queries())]}]}))
    assert f"{len(board_queries())} rules found" in promtool("check", "rules", tmp_path / "queries.yaml")


def test_boards_are_whole():
    found = boards()
    assert set(found) == {"service", "pipeline", "kafka", "flink", "scylladb", "postgresql"}
    assert len({board["uid"] for board in found.values()}) == len(found)
    for name, board in found.items():
        taken = set()
        for panel in board["panels"]:
            place = panel["gridPos"]
            cells = {(x, y) for x in range(place["x"], place["x"] + place["w"]) for y in range(place["y"], place["y"] + place["h"])}
            assert not cells & taken and place["x"] + place["w"] <= 24, f"{name}: {panel['title']} lies on another"
            taken |= cells
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"]), name


def check_types(folder, found):
    """What TypeScript says of boards by Grafana's own schema; empty: nothing."""
    (folder / "node_modules").symlink_to(programs.get("grafana") / "node_modules")
    shutil.copy(HERE / "grafana/board.ts", folder)
    (folder / "boards.ts").write_text("\n".join(['import type { Board } from "./board";', *(f"export const {name}: Board = {json.dumps(board)};" for name, board in found.items())]))
    node = programs.toolchains.node(programs.CACHE / "toolchains")
    done = subprocess.run([folder / "node_modules/.bin/tsc", "--noEmit", "--strict", "--skipLibCheck", "--moduleResolution", "bundler", "--module", "esnext", "--target", "es2022", "boards.ts"],
                          cwd=folder, capture_output=True, text=True, env={**os.environ, "PATH": f"{node}:{os.environ['PATH']}"})
    assert (done.returncode == 0) == (not done.stdout.strip()), done.stdout + done.stderr
    return done.stdout


def test_grafana_s_schema_takes_the_boards(tmp_path):
    """Of the version that compose.yaml runs; a field that it does not have is found, and one that lacks."""
    version = json.loads((HERE / "grafana/package.json").read_text())["dependencies"]["@grafana/schema"]
    assert f"grafana:{version}}}" in (ROOT / "deploy/compose.yaml").read_text()
    for name, change, word in (("whole", lambda panel: None, None), ("misspelt", lambda panel: panel["options"]["legend"].update(showLegends=True), "showLegends"),
                               ("lacking", lambda panel: panel["options"]["legend"].pop("showLegend"), "showLegend")):
        (tmp_path / name).mkdir()
        found = boards()
        change(next(panel for panel in found["service"]["panels"] if panel["type"] == "timeseries"))
        text = check_types(tmp_path / name, found)
        assert word in text if word else not text, text
