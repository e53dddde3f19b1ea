"""Every command in the README runs, as written, in this order. Only the address and the data directory are the test's own."""
import os
import re
import shutil
import signal
import subprocess

import pytest
from conftest import ROOT, free_port, processes, wait_for

README = (ROOT / "README.md").read_text()


def blocks():
    return re.findall(r"^```sh\n(.*?)^```", README, re.M | re.S)


def commands(block):
    """Lines that are no comments; a comment behind a command is the shell's own business."""
    return [line for line in block.splitlines() if line.strip() and not line.startswith("#")]


@pytest.fixture
def running(tmp_path):
    """`make run` in a checkout of its own, up to the point where it listens."""
    checkout = tmp_path / "checkout"
    subprocess.run(["git", "clone", "-q", ROOT, checkout], check=True)
    port = free_port()
    log_path = tmp_path / "make-run.log"
    with open(log_path, "wb") as log:
        process = subprocess.Popen(processes.tied(["make", "run", f"LISTEN=127.0.0.1:{port}", f"DATA_DIR={tmp_path}/data"], "TERM"), cwd=checkout,
                                   stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    try:
        def listening():
            assert process.poll() is None, log_path.read_text()
            return "listening" in log_path.read_text()
        wait_for("make run to listen", listening, 1500)
        yield checkout, port, process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def test_the_two_commands_are_the_makefile_s():
    first, second = (commands(block)[0].split("#")[0].strip() for block in blocks()[:2])
    assert (first, second) == ("make run", "make test")


@pytest.mark.timeout(1800)  # it builds everything
def test_the_tour(running):
    checkout, port, process = running
    tour = blocks()[2]
    assert len(commands(tour)) > 10
    env = {**os.environ, "PINGCTL_ADDRESS": f"http://127.0.0.1:{port}", "PING_DATA_DIR": str(checkout.parent / "data"), "LC_ALL": "C.UTF-8"}
    for command in commands(tour):
        if shutil.which("curl") is None and command.startswith("curl"):
            pytest.skip("curl is not here")
        done = subprocess.run(["bash", "-c", "set -o pipefail; " + command.replace("localhost:8080", f"127.0.0.1:{port}")], cwd=checkout, env=env,
                              capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        assert done.stdout.strip(), command
        assert '"code"' not in done.stdout, f"{command}\n{done.stdout}"
    # Ctrl-C, as the README says.
    os.killpg(process.pid, signal.SIGINT)
    wait_for("pingd to stop", lambda: process.poll() is not None)


@pytest.mark.parametrize("page", sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]), ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    for path in re.findall(r"\]\(([^)#:]+)\)", page.read_text()):
        assert (page.parent / path).exists(), path
