"""Debian's Chromium on the dashboard, through Playwright: pages that notice what no page may have, and axe."""
import contextlib
import functools
import pathlib
import shutil
import subprocess
import time
from urllib.parse import urlsplit

import pytest
from conftest import DEADLINE_S, ROOT
from playwright.sync_api import expect, sync_playwright

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DEADLINE_MS = DEADLINE_S * 1000
expect.set_options(timeout=DEADLINE_MS)
SIZES = {"desktop": (1280, 900), "phone": (390, 844), "narrow": (320, 640)}
# What the browser itself says of an answer that a test makes fail.
EXPECTED_OF_FAILURES = ("Failed to load resource",)


@functools.cache
def axe_source():
    folder = subprocess.run([ROOT / "scripts/build-web", "--fetch"], capture_output=True, text=True, check=True).stdout.strip()
    return (pathlib.Path(folder) / "node_modules/axe-core/axe.min.js").read_text(encoding="utf-8")


@contextlib.contextmanager
def open_browser():
    if CHROMIUM is None:
        pytest.skip("no chromium is here: scripts/bootstrap test brings Debian's")
    with sync_playwright() as playwright:
        # Without a sandbox of its own: the tests may run as root.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        try:
            yield browser
        finally:
            browser.close()


class Visit:
    """One page of one person: a browser context of its own, and what went wrong in it."""

    def __init__(self, browser, pingd, size="desktop", theme="light", **options):
        width, height = SIZES[size]
        self.pingd, self.problems, self.may_fail = pingd, [], False
        self.context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=theme, base_url=pingd.address,
                                           **{"timezone_id": "Europe/Vienna", "reduced_motion": "reduce", **options})
        self.context.set_default_timeout(DEADLINE_MS)
        self.page = self.context.new_page()
        self.page.on("console", self.on_console)
        self.page.on("pageerror", lambda error: self.problems.append(f"error: {error}"))
        self.page.on("request", self.on_request)
        self.page.add_init_script("addEventListener('securitypolicyviolation', e => console.error('CSP: ' + e.violatedDirective + ' ' + e.blockedURI))")

    def on_console(self, message):
        expected = self.may_fail and message.text.startswith(EXPECTED_OF_FAILURES)
        if message.type in ("error", "warning") and not expected:
            self.problems.append(f"console: {message.text}")

    def on_request(self, request):
        url = urlsplit(request.url)
        if url.scheme not in ("blob", "data") and url.netloc != f"127.0.0.1:{self.pingd.port}":
            self.problems.append(f"request to another host: {request.url}")

    def go(self, path):
        self.page.goto(path)
        return self

    def text(self, selector):
        return self.page.locator(selector).first.inner_text()

    def wait_text(self, selector, text):
        """Until the first such element has this text."""
        expect(self.page.locator(selector).first).to_contain_text(text, timeout=DEADLINE_MS)

    def wait(self, expression, argument=None):
        self.page.wait_for_function(expression, arg=argument, timeout=DEADLINE_MS)

    def wait_same(self, shown, wanted):
        """Until the page shows what the API says; both are asked anew, for the 24 hours go on meanwhile."""
        end = time.monotonic() + DEADLINE_S
        while (last := (shown(), wanted()))[0] != last[1]:
            assert time.monotonic() < end, f"shown is {last[0]}, and should be {last[1]}"
            self.page.wait_for_timeout(100)

    def figure(self, label):
        return self.page.locator(".figure", has_text=label).locator("dd")

    def fact(self, label):
        return self.page.locator(".fact", has_text=label).locator("dd")

    def axe(self):
        """What axe finds: nothing."""
        self.page.evaluate(axe_source())
        found = self.page.evaluate("""() => axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})
            .then(r => r.violations.map(v => v.id + ': ' + v.nodes.slice(0, 3).map(n => n.html + ' ' + n.failureSummary).join(' | ')))""")
        assert found == [], "\n".join(found)

    def overflow(self):
        """Pixels by which the page is wider than its window."""
        return self.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")

    def close(self):
        self.context.close()
        assert self.problems == [], self.problems
