"""A real Prometheus (Debian's) on loopback, with the rules of deploy/ made quick: windows of seconds in place of minutes and hours."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import time
import urllib.error
import urllib.parse
import urllib.request

import yaml

from apiserver import reserve_ports
import processes

WINDOWS = {"5m": "10s", "15m": "15s", "30m": "15s", "1h": "20s", "6h": "30s"}


def program():
    """Beside promtool: the same package."""
    promtool = shutil.which("promtool") or os.environ.get("PROMTOOL") or ""
    found = pathlib.Path(promtool).parent / "prometheus"
    return found if promtool and found.exists() else None


def quick(text):
    """The rules' text with windows and waits of seconds; what they compare stays."""
    text = re.sub(r"\[(5m|15m|30m|1h|6h)\]", lambda match: f"[{WINDOWS[match[1]]}]", text)
    rules = yaml.safe_load(text)
    for group in rules["groups"]:
        group.pop("interval", None)
        for rule in group["rules"]:
            if "for" in rule:
                rule["for"] = "1s"
    return yaml.safe_dump(rules)


class Prometheus:
    def __init__(self, folder, rules, targets, seconds=1):
        """targets: {job: [HOST:PORT]}, or {job: ([HOST:PORT], {label: value})}; seconds from one scrape to the next"""
        self.folder, self.process, self.seconds = pathlib.Path(folder), None, seconds
        (self.folder / "rules.yaml").write_text(quick(rules))
        self.configure(targets)

    def configure(self, targets):
        """Before its start."""
        (self.folder / "prometheus.yaml").write_text(yaml.safe_dump({
            "global": {"scrape_interval": f"{self.seconds}s", "scrape_timeout": f"{self.seconds}s", "evaluation_interval": "1s"}, "rule_files": ["rules.yaml"],
            "scrape_configs": [{"job_name": job, "static_configs": [{"targets": found[0], "labels": found[1]} if isinstance(found, tuple) else {"targets": found}]}
                               for job, found in targets.items()]}))

    def start(self):
        self.address = f"127.0.0.1:{reserve_ports(1)[0]}"
        with open(self.folder / "log", "ab") as log:
            self.process = subprocess.Popen(processes.tied([program(), "--config.file=prometheus.yaml", "--storage.tsdb.path=data", f"--web.listen-address={self.address}",
                                             "--storage.tsdb.retention.time=1h"]), cwd=self.folder, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def stop(self):
        if self.process:
            self.process.terminate()
            try:
                self.process.wait(30)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def ask(self, path, **query):
        """The answer's data; None: not yet."""
        assert self.process.poll() is None, (self.folder / "log").read_text()[-3000:]
        try:
            with urllib.request.urlopen(f"http://{self.address}/api/v1/{path}?{urllib.parse.urlencode(query)}", timeout=20) as answer:
                return json.load(answer)["data"]
        except urllib.error.HTTPError as error:
            if error.code == 503:  # it starts
                return None
            raise AssertionError(f"{query}: {error.read().decode()[:500]}") from error
        except OSError:
            return None

    def value(self, query):
        """The only sample's value; None: there is none."""
        data = self.ask("query", query=query)
        return float(data["result"][0]["value"][1]) if data and data["result"] else None

    def firing(self):
        data = self.ask("alerts")
        return {alert["labels"]["alertname"] for alert in data["alerts"] if alert["state"] == "firing"} if data else set()

    def series(self, query, seconds):
        """[(labels, [(time, value)])] of the last seconds."""
        end = time.time()
        data = self.ask("query_range", query=query, start=end - seconds, end=end, step=max(1, seconds // 120))
        return [(one["metric"], [(float(at), float(value)) for at, value in one["values"]]) for one in data["result"]] if data else []
