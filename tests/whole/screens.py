"""The web UI in Chromium, for tests that walk through it as people do.

Every screen that a test takes stays in `target/screens`, so that somebody can look at it. A
screen also has to stand before axe-core (WCAG 2.2 A and AA) and must not complain in the
browser's console, a breach of the content security policy included.
"""

import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import ROOT, SHUJIN, filled, free_port, started
from playwright.sync_api import expect, sync_playwright

SCREENS = ROOT / "target/screens"
AXE = ROOT / "web/node_modules/axe-core/axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
WAIT_MS = 20_000
expect.set_options(timeout=WAIT_MS)
# The map draws by WebGL, in software where there is no graphics card.
CHROMIUM = ["--no-sandbox", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]
DESK = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
WALL = {"width": 1920, "height": 1080}


@contextmanager
def demo_city(folder, people=20_000, real_files=None):
    """A demonstration that is being served."""
    log, http, pg = folder / "log", f"127.0.0.1:{free_port()}", free_port()
    environment = {name: value for name, value in os.environ.items() if name != "CITY_DATA"}
    if real_files:
        environment["CITY_DATA"] = str(real_files)
    process = subprocess.Popen(
        [SHUJIN, "demo", "--data", folder / "city", "--people", str(people)]
        + ["--http", http, "--pg", f"127.0.0.1:{pg}", "--mqtt", "127.0.0.1:0"],
        stdin=subprocess.DEVNULL,
        stdout=log.open("w"),
        stderr=subprocess.STDOUT,
        cwd=ROOT,
        env=environment,
    )
    server = started(folder / "city", process, http, pg, log)
    try:
        yield filled(server, log)
    finally:
        server.stop()


@contextmanager
def chromium():
    path = shutil.which("chromium")
    assert path, "no chromium: scripts/setup browser installs it"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM)
        try:
            yield browser
        finally:
            browser.close()


class Visitor:
    """One person at one screen."""

    def __init__(self, browser, http, size=None, language="zh", theme="light"):
        self.http = http
        self.context = browser.new_context(
            viewport=size or DESK, locale="zh-CN", timezone_id="Asia/Shanghai", base_url=http
        )
        self.context.set_default_timeout(WAIT_MS)
        kept = {"shujin.language": language, "shujin.theme": theme}
        self.context.add_init_script(
            f"for (const [name, value] of Object.entries({json.dumps(kept)}))"
            " { if (!localStorage.getItem(name)) localStorage.setItem(name, value); }"
        )
        self.page = self.context.new_page()
        self.complaints = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._heard)

    def _heard(self, message):
        # A refusal that the screen shows is no complaint; the browser logs each all the same.
        refusal = "Failed to load resource: the server responded with a status of 4"
        if message.type == "error" and not message.text.startswith(refusal):
            self.complaints.append(message.text)

    def sign_in(self, user, password=None):
        self.page.goto("/sign-in")
        self.page.fill("input[name=username]", user)
        self.page.fill("input[name=password]", password or f"{user}-of-shujin")
        self.page.keyboard.press("Enter")
        expect(self.page).not_to_have_url(f"{self.http}/sign-in")
        return self

    def settled(self):
        """Waits until nothing says that it is being loaded."""
        self.page.wait_for_load_state("load")
        # A page that has not begun says nothing of loading; a chart that is on its way is empty.
        expect(self.page.locator("main h1")).not_to_have_count(0)
        waits = self.page.locator(".loading, [aria-busy=true], .chart:not(:has(svg))")
        expect(waits).to_have_count(0, timeout=3 * WAIT_MS)
        return self

    def take(self, name, axe=True):
        """Keeps the screen and holds it to what every screen must be."""
        self.settled()
        SCREENS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENS / f"{name}.png")
        assert not self.complaints, self.complaints
        if axe:
            assert not (found := self.violations()), json.dumps(found, indent=1, ensure_ascii=False)

    def violations(self):
        self.page.evaluate(AXE.read_text(encoding="utf-8") + "; undefined")
        found = self.page.evaluate(
            "rules => axe.run(document, { runOnly: { type: 'tag', values: rules } })", RULES
        )
        return [
            {"rule": v["id"], "help": v["help"], "at": [n["target"] for n in v["nodes"]][:5]}
            for v in found["violations"]
        ]

    def close(self):
        self.context.close()


def assert_fits(page):
    """No page is scrolled sideways; wide tables scroll in themselves."""
    asked = "[document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    width, room = page.evaluate(asked)
    assert width <= room, f"{page.url} is {width} px wide on a screen of {room}"


def map_drawn(page):
    """Waits until a map is drawn; returns how many objects of each layer are in view."""
    expect(page.locator(".map[data-state=idle]")).to_be_visible(timeout=3 * WAIT_MS)
    return json.loads(page.locator(".map").get_attribute("data-drawn"))


# Each file of tests has a demonstration; what a test leaves behind in it must be its own (a user, a
# row, a query).


@pytest.fixture(scope="module")
def shown_city(real_files, tmp_path_factory):
    folder = tmp_path_factory.mktemp("screens")
    with demo_city(folder, real_files=real_files) as server:
        yield server


@pytest.fixture(scope="module")
def http(shown_city):
    return shown_city.http


@pytest.fixture(scope="module")
def browser():
    with chromium() as browser:
        yield browser


@pytest.fixture
def visit(http, browser):
    """A visitor, signed in where a user is named, who leaves when the block ends."""

    @contextmanager
    def visit(user=None, size=DESK, language="zh", theme="light"):
        visitor = Visitor(browser, http, size, language, theme)
        try:
            yield visitor.sign_in(user) if user else visitor
        finally:
            visitor.close()

    return visit
