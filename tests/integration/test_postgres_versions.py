"""A smoke run on each version of PostgreSQL that is promised; all else is tested on Debian's."""
import hashlib
import os
import shutil
import subprocess
import sys

import pytest
from conftest import BUILD, ROOT

sys.path.insert(0, str(ROOT / "tests" / "tools"))
from cache import CACHE, making  # noqa: E402
from postgres import Postgres, binaries  # noqa: E402

TOOLS = ROOT / "tests" / "tools" / "postgres-versions"
NOW_MS = 1_700_000_000_123

pytestmark = [pytest.mark.skipif(binaries() is None, reason="no PostgreSQL client: apt-get install postgresql"),
              pytest.mark.skipif(not (shutil.which("npm") and os.uname().machine == "x86_64"),
                                 reason="npm brings other versions of PostgreSQL, for x86_64: apt-get install npm")]


@pytest.fixture(scope="module")
def versions():
    """The folder with all of them, fetched once."""
    folder = CACHE / f"postgres-versions-{hashlib.sha256((TOOLS / 'package-lock.json').read_bytes()).hexdigest()[:16]}"
    with making(folder.name):
        if not (folder / "complete").exists():
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(TOOLS, folder)
            subprocess.run(["npm", "ci", "--no-audit", "--no-fund", "--silent", "--prefix", folder], check=True)
            (folder / "complete").touch()
    return folder / "node_modules"


@pytest.mark.parametrize("version", [14, 16, 17, 18])
def test_it_runs_on_postgresql(make_pingd, versions, version):
    native = versions / f"postgres-{version}" / "native"
    server = Postgres(native)
    try:
        server.start()
        assert server.number("SHOW server_version_num") // 10000 == version
        server.sql("CREATE TABLE pings (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), pinged_at timestamptz);"
                   "INSERT INTO pings (pinged_at) SELECT now() FROM generate_series(1, 1000)")
        pingd = make_pingd("--ledger", server.url()).start()
        for _ in range(2):
            assert pingd.ping(NOW_MS, "203.0.113.7", "k")[0] == 200
        server.sql("INSERT INTO pings (pinged_at) VALUES (now())")
        assert int(pingd.ask("PingCount", {})["pingCount"]) == 1002
        assert int(pingd.ask("PingCount", {"timeRange": {"start": NOW_MS, "end": NOW_MS + 1}})["pingCount"]) == 1
        suite = subprocess.run([BUILD / "tests" / "unit" / "postgres" / "test-postgres-slots"], capture_output=True, text=True, check=False,
                               env={**os.environ, "PING_TEST_POSTGRES": server.url()})
        assert suite.returncode == 0, suite.stdout + suite.stderr
    finally:
        server.remove()
