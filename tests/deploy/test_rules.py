"""The rules: Prometheus' own checks, a firing and a quiet case of each alert, a page for each in docs/runbooks."""
import os
import pathlib
import re
import shutil
import subprocess

import pytest
import yaml

from conftest import CHART, HERE, ROOT

RULES = CHART / "files/rules.yaml"
CASES = yaml.safe_load((HERE / "alerts.yaml").read_text())


def alerts():
    return {rule["alert"]: rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"] if "alert" in rule}


def promtool(*arguments, cwd=None):
    program = shutil.which("promtool") or os.environ.get("PROMTOOL")
    if not program or not os.path.exists(program):
        pytest.skip("promtool is not here")
    done = subprocess.run([program, *map(str, arguments)], capture_output=True, text=True, cwd=cwd)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]
    return done.stdout


def test_promtool_takes_the_rules():
    assert "SUCCESS" in promtool("check", "rules", RULES)


def test_every_alert_has_a_case_and_says_what_it_is():
    assert set(alerts()) == set(CASES)
    for name, rule in alerts().items():
        assert rule["labels"]["severity"] in ("critical", "warning"), name
        assert rule["annotations"]["summary"], name


def test_every_alert_has_a_page_and_every_page_an_alert():
    pages = {file.stem for file in (ROOT / "docs/runbooks").glob("Ping*.md")}
    assert pages == set(alerts())
    index = (ROOT / "docs/runbooks/README.md").read_text()
    for name, rule in alerts().items():
        assert rule["annotations"]["runbook_url"] == f"docs/runbooks/{name}.md"
        text = (ROOT / f"docs/runbooks/{name}.md").read_text()
        assert text.startswith(f"# {name}\n") and f"({name}.md)" in index
        assert {"## What it means", "## Look", "## Do"} <= set(re.findall(r"^## .*", text, re.M)), name


@pytest.mark.parametrize("every", sorted({case.get("every", "1m") for case in CASES.values()}))
def test_each_alert_fires_and_is_quiet(tmp_path, every):
    """By what ALERTS says, so that a summary may be reworded freely. Long cases are evaluated seldom: each rule is, at each step of each case."""
    shutil.copy(RULES, tmp_path / "rules.yaml")
    tests = []
    for name, case in CASES.items():
        for kind, wanted in (("fires", [{"labels": "{}", "value": 1}]), ("quiet", [])) if case.get("every", "1m") == every else ():
            tests.append({
                "name": f"{name} {kind}", "interval": "1m",
                "input_series": [{"series": series, "values": str(values)} for series, values in case[kind].items()],
                "promql_expr_test": [{"expr": f'count(ALERTS{{alertname="{name}",alertstate="firing"}}) > bool 0', "eval_time": case["at"], "exp_samples": wanted}]})
    # A group's own interval would be kept to.
    rules = yaml.safe_load((tmp_path / "rules.yaml").read_text())
    for group in rules["groups"]:
        group.pop("interval", None)
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump(rules))
    (tmp_path / "tests.yaml").write_text(yaml.safe_dump({"rule_files": ["rules.yaml"], "evaluation_interval": every, "tests": tests}))
    assert "SUCCESS" in promtool("test", "rules", "tests.yaml", cwd=tmp_path)


def test_pages_name_commands_that_there_are():
    """Of pingctl: each that a page names is a row of its help."""
    build = pathlib.Path(os.environ.get("PING_BUILD", ROOT / "build"))
    if not (build / "pingctl").exists():
        pytest.skip(f"no pingctl in {build}")
    text = subprocess.run([build / "pingctl", "--help"], capture_output=True, text=True, check=True).stdout
    commands = set(re.findall(r"^  ([a-z-]+)  +\S", text, re.M))
    for file in [*(ROOT / "docs/runbooks").glob("*.md"), ROOT / "docs/OPERATIONS.md", ROOT / "deploy/README.md"]:
        code = " ".join(re.findall(r"```.*?```|`[^`\n]+`", file.read_text(), re.S))  # a sentence may go on behind the name
        named = set(re.findall(r"\bpingctl ([a-z][a-z-]*)", code))
        assert named <= commands, f"{file.name}: {named - commands}"
