"""The dashboard of a real pingd in a real Chromium (dashboard.py)."""
import contextlib
import csv
import io
import json
import re
import shlex
import subprocess
import time

import pytest
from conftest import BUILD, Pingd, wait_for
from dashboard import DEADLINE_MS, Visit, open_browser
from playwright.sync_api import expect

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000
WINDOW = 5 * MINUTE
MANY = 100_000
CLIENT, SIX = "192.0.2.7", "2001:db8::7"


@pytest.fixture(scope="module")
def browser():
    with open_browser() as opened:
        yield opened


@pytest.fixture
def visit(browser, make_pingd):
    """Opens pages; at the end none may have had an error, a violation of its policy, or a request to another host."""
    visits = []

    def make(pingd, path="/", **options):
        visits.append(Visit(browser, pingd, **options))
        return visits[-1].go(path)

    yield make
    for one in visits:
        one.close()


def begin(tmp_path_factory, name):
    return Pingd(tmp_path_factory.mktemp(name)).start()


@pytest.fixture(scope="module")
def some(tmp_path_factory):
    """A few dozen clients of a day; CLIENT has been silent twice, SIX for three days."""
    pingd = begin(tmp_path_factory, "some")
    pingd.ctl("load", "--pings", "3000", "--clients", "60", "--timestamps", "spread:24h")
    now = int(time.time() * 1000)
    start = now - now % WINDOW - 20 * HOUR
    pingd.gaps = [(start + 2 * HOUR, start + 5 * HOUR), (start + 9 * HOUR, start + 9 * HOUR + 40 * MINUTE)]
    for at in range(start, now - MINUTE, 2 * MINUTE):
        if not any(begin < at < end for begin, end in pingd.gaps):
            assert pingd.ping(at, CLIENT)[0] == 200
    for at in range(now - 4 * DAY, now - 3 * DAY, 30 * MINUTE):
        assert pingd.ping(at, SIX)[0] == 200
    pingd.caught_up()
    yield pingd
    assert pingd.process.poll() is None
    pingd.end()


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    pingd = begin(tmp_path_factory, "many")
    pingd.ctl("load", "--pings", str(MANY), "--clients", str(MANY))
    pingd.caught_up()
    yield pingd
    assert pingd.process.poll() is None
    pingd.end()


# ── The files ──

def fetch(pingd, path, method="GET", **headers):
    with contextlib.closing(pingd.connect()) as connection:
        connection.request(method, path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer, answer.read()


def test_the_page_and_all_that_it_names_come_from_the_program(some):
    page, html = fetch(some, "/")
    assert page.status == 200 and page.getheader("Content-Type") == "text/html; charset=utf-8"
    assert page.getheader("Cache-Control") == "no-cache" and "script-src 'self'" in page.getheader("Content-Security-Policy")
    assert not re.search(rb"<script(?![^>]* src=)|<style|\son\w+=|style=|https?://(?!www\.w3\.org/)", html)
    names = re.findall(r'"(/assets/[^"]+)"', html.decode())
    assert len(names) >= 4
    for name in names:
        plain, body = fetch(some, name)
        assert plain.status == 200 and "immutable" in plain.getheader("Cache-Control"), name
        packed, small = fetch(some, name, Accept_Encoding="gzip, br")
        assert packed.getheader("Content-Encoding") == "gzip" or len(body) < 600, name
        assert packed.getheader("ETag") != plain.getheader("ETag") or len(small) == len(body), name


def test_a_page_that_is_known_is_not_sent_again(some):
    tag = fetch(some, "/", Accept_Encoding="gzip")[0].getheader("ETag")
    again, body = fetch(some, "/clients/10.0.0.1", Accept_Encoding="gzip", If_None_Match=tag)
    assert again.status == 304 and body == b"" and again.getheader("ETag") == tag and again.getheader("Content-Length") is None
    head, nothing = fetch(some, "/", "HEAD")
    assert head.status == 200 and nothing == b"" and int(head.getheader("Content-Length")) == len(fetch(some, "/")[1])
    assert fetch(some, "/", "POST")[0].status == 405 and fetch(some, "/assets/none.js")[0].status == 404


# ── The overview ──

def test_first_visit_says_how_to_ping_and_shows_the_ping(visit, pingd):
    seen = visit(pingd)
    seen.wait_text("h2", "No ping has come yet")
    seen.axe()
    command = seen.text(".command code")
    assert f"127.0.0.1:{pingd.port}" in command
    assert subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60).stdout == "{}"
    expect(seen.figure("All pings")).to_have_text("1", timeout=DEADLINE_MS)
    expect(seen.figure("Active clients")).to_have_text("1", timeout=DEADLINE_MS)
    seen.wait_text(".top-list a", "127.0.0.1")
    seen.wait_text("#mode", "Live")
    expect(seen.page.locator(".empty")).to_be_hidden()


def test_numbers_are_those_of_pingctl(visit, some):
    seen = visit(some)
    status = json.loads(some.ctl("status", "--json").stdout)
    count = lambda *more: int(json.loads(some.ctl("count", "--json", *more).stdout)["pingCount"])
    grouped = "{:,}".format
    expect(seen.figure("All pings")).to_have_text(grouped(count()))
    expect(seen.figure("Active clients")).to_have_text(grouped(int(status["activeClients"])))
    expect(seen.figure("Silent clients")).to_have_text(grouped(int(status["clients"]) - int(status["activeClients"])))
    expect(seen.figure("Last hour")).to_have_text(re.compile(r"^[\d,]+$"))
    shown = int(seen.figure("Last hour").inner_text().replace(",", ""))
    assert abs(shown - count("--from", "-1h")) <= 60  # the hour goes on between the two
    top = json.loads(some.ctl("top", "--limit", "8", "--json").stdout)["clients"]
    seen.wait("n => document.querySelectorAll('.top-list li').length === n", 8)
    assert seen.page.locator(".top-list a").all_inner_texts() == [one["clientIp"] for one in top]
    assert [re.sub(r"\D", "", text) for text in seen.page.locator(".top-list .number").all_inner_texts()] == [one["pingCount"] for one in top]
    for part, kind in (("Ledger", "sqlite"), ("Log", "sqlite"), ("Engine", "native"), ("Store", "sqlite")):
        seen.wait_text(f".part:has-text('{part}')", "Healthy")
        seen.wait_text(f".part:has-text('{part}')", kind)
    half_hours = seen.page.locator("[role=slider]")
    expect(half_hours).to_have_attribute("aria-valuemax", "47")
