"""The Containerfiles: what can be known without Docker, and their steps run without it."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import time
import urllib.request

import pytest

import containerfile
from apiserver import reserve_ports
from conftest import DEPLOY, ROOT

IMAGES = sorted((DEPLOY / "images").glob("*.Containerfile"))
BUILT = os.environ.get("PING_IMAGES")  # a folder to build them in: make soak sets it


@pytest.mark.parametrize("file", IMAGES, ids=lambda file: file.stem)
def test_containerfiles_keep_to_what_we_promise(file):
    steps = list(containerfile.instructions(file.read_text()))
    words = [word for word, _ in steps]
    assert words.count("FROM") == 2, "built in one stage, run in another"
    for word, rest in steps:
        if word == "FROM":
            assert re.fullmatch(r"\$\{\w+\}( AS \w+)?", rest), "bases are arguments, so that a digest can be given"
        if word == "ARG":
            assert re.search(r"=[\w./-]+:[\w.-]+$", rest) and "latest" not in rest, rest
    user = [rest for word, rest in steps if word == "USER"][-1]
    assert int(user.split(":")[0]) > 0, "nobody's image runs as root"
    assert pathlib.Path(f"{file}.dockerignore").exists()
    sources = [source for word, rest in steps if word == "COPY" and not rest.startswith("--from") for source in rest.split()[:-1]]
    assert all((ROOT / source).exists() for source in sources), sources


by_steps = pytest.mark.skipif(not BUILT or os.geteuid() != 0 or not shutil.which("debootstrap"),
                              reason="the images' steps, which take minutes: left to make soak (root, debootstrap)")


@pytest.mark.timeout(3 * 3600)
@by_steps
def test_pingd_s_image_by_its_steps(tmp_path):
    """Built stage by stage in a Debian of its own, then run as the image would be: as its user, with its entrypoint."""
    stage = containerfile.Build(DEPLOY / "images/pingd.Containerfile", pathlib.Path(BUILT) / "pingd").until()
    port = reserve_ports(1)[0]
    user, group = stage.user.split(":")
    inside = [shutil.which("chroot"), f"--userspec={user}:{group}", stage.root]
    said = subprocess.run([*inside, *stage.entrypoint, "--version"], capture_output=True, text=True, check=True).stdout
    assert "librdkafka" in said and "scylla driver" in said and "jemalloc" in said
    assert subprocess.run([*inside, "/usr/bin/pingctl", "--version"], capture_output=True).returncode == 0
    assert not (stage.root / "usr/bin/gcc").exists() and not (stage.root / "source").exists()
    with open(tmp_path / "log", "wb") as log:
        process = subprocess.Popen([*inside, *stage.entrypoint, f"--listen=127.0.0.1:{port}"], stdout=log, stderr=log, env=stage.env)
    try:
        end = time.monotonic() + 60
        while True:
            try:
                request = urllib.request.Request(f"http://127.0.0.1:{port}/ping.v1.PingService/Ping", json.dumps({"timestamp_ms": 1728926331000}).encode(),
                                                 {"Content-Type": "application/json"})
                with urllib.request.urlopen(request, timeout=30) as answer:
                    assert answer.status == 200
                break
            except OSError:
                assert process.poll() is None and time.monotonic() < end, (tmp_path / "log").read_text()
                time.sleep(0.1)
    finally:
        process.terminate()
        process.wait(60)
