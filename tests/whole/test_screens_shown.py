"""What is on the screens: in both languages, by keys alone, on a telephone and on a wall."""

import re

from playwright.sync_api import expect
from screens import (  # noqa: F401
    PHONE,
    WALL,
    assert_fits,
    browser,
    http,
    map_drawn,
    shown_city,
    visit,
)

TABS_MAX = 60
LEVELS = ["市", "区（市）县", "街道（镇）", "社区（村）", "一般网格", "微网格"]
# Chinese letters and their punctuation.
CHINESE = "[\\u3000-\\u303f\\u4e00-\\u9fff\\uff01-\\uff5e]"
# What is written on a page, but for the city's own names and the button that offers Chinese.
WRITTEN = """chinese => {
  const found = [], wanted = new RegExp(chinese);
  const theirs = 'td, dd, svg, script, style, body [lang^=zh], .cm-editor';
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const { data, parentElement } = walker.currentNode;
    if (wanted.test(data) && !parentElement.closest(theirs)) found.push(data.trim());
  }
  for (const name of ['aria-label', 'title', 'placeholder', 'alt']) {
    for (const one of document.querySelectorAll(`[${name}]`)) {
      const said = one.getAttribute(name);
      if (wanted.test(said) && !one.closest(theirs)) found.push(`${name}: ${said}`);
    }
  }
  return found;
}"""


def focused(page):
    """What has the keyboard, by its name for who cannot see it."""
    return page.evaluate(
        "() => { const it = document.activeElement;"
        " return it.getAttribute('aria-label') || it.name || it.textContent.trim(); }"
    )


def tab_to(page, name):
    for _ in range(TABS_MAX):
        page.keyboard.press("Tab")
        if focused(page) == name:
            return
    raise AssertionError(f"{name} is not within {TABS_MAX} steps of the keyboard")


def way(page):
    return page.get_by_role("navigation", name="从市到本区域").get_by_role("listitem")


def test_the_map_leads_from_the_city_down_to_a_micro_grid(visit):
    with visit("duty") as visitor:
        page = visitor.page
        page.goto("/map")
        map_drawn(page)
        level = page.locator(".panel header .badge")
        expect(level).to_have_text(LEVELS[0])
        # The first step on the map itself: where it says what a press would open.
        tip = page.locator(".tip")
        box = page.locator(".map canvas").bounding_box()
        for share in (0.15, 0.25, 0.35, 0.65, 0.75, 0.85):
            page.mouse.move(box["x"] + box["width"] * share, box["y"] + box["height"] * 0.55)
            if page.locator(".tip:has-text('点击进入')").count():
                break
        expect(tip).to_contain_text("点击进入")
        name = tip.locator("strong").inner_text()
        page.mouse.down()
        page.mouse.up()
        expect(way(page)).to_have_text(["成都市", name])
        expect(page).to_have_url(re.compile(r"area=5101\d\d000000"))
        # The others from the list, to where there is nothing smaller.
        for depth in range(2, len(LEVELS)):
            below = page.locator(".panel .child").first
            name = below.locator(".grow").inner_text()
            below.click()
            expect(way(page).nth(depth)).to_have_text(name)
            expect(level).to_have_text(LEVELS[depth])
        expect(page.get_by_text("已是最小的区域。")).to_be_visible()
        map_drawn(page)
        deepest = way(page).all_inner_texts()
        assert len(deepest) == len(LEVELS)
        visitor.take("map-micro-grid")

        address = page.url
        assert re.search(r"area=\d{12,}", address), address
        page.reload()
        map_drawn(page)
        expect(way(page)).to_have_text(deepest)
        assert page.url == address
        page.go_back()
        expect(way(page)).to_have_text(deepest[:-1])
        page.go_forward()
        expect(way(page)).to_have_text(deepest)
        way(page).nth(1).get_by_role("button").click()
        expect(way(page)).to_have_text(deepest[:2])
        map_drawn(page)
        visitor.take("map-district")


def test_every_page_reads_in_english_and_in_the_dark(visit):
    pages = {
        "steward": ["", "map", "catalogue", "catalogue/air.pm25", "sharing", "sql", "registers"]
        + ["registers/place.facility", "quarantine", "account", "admin/grants"],
        "planner": ["registers/place.facility/new"],
        "duty": ["screen"],
        "security": ["admin/users", "admin/roles"],
        "auditor": ["admin/audit"],
    }
    for user, paths in pages.items():
        with visit(user, language="en", theme="dark") as visitor:
            page = visitor.page
            for path in paths:
                page.goto(f"/{path}")
                visitor.take(f"en-{(path or 'home').replace('/', '-')}")
                expect(page.get_by_text("You may not see this")).to_have_count(0)
                expect(page.locator("html")).to_have_attribute("lang", "en")
                left = page.evaluate(WRITTEN, CHINESE)
                assert not left, (path, left)


def test_the_big_screen_shows_the_city_drawn(visit):
    with visit("duty", size=WALL) as visitor:
        page = visitor.page
        page.goto("/screen")
        # An empty map says that it is being drawn: it never looks like an empty city.
        expect(page.locator(".wall-map").get_by_role("status").first).to_be_visible()
        drawn = map_drawn(page)
        assert sum(drawn.values()) > 0, "no object of any layer is on the wall's map"
        assert page.locator("html").get_attribute("data-theme") == "dark"
        expect(page.locator(".wall-map .loading")).to_have_count(0)
        expect(page.locator(".wall-map .shade")).to_be_visible()
        expect(page.locator(".column .cell")).not_to_have_count(0)
        assert page.evaluate("document.documentElement.scrollHeight") <= WALL["height"]
        visitor.take("screen")


def test_keys_alone_lead_from_the_door_to_the_catalogue(visit, http):
    with visit() as visitor:
        page = visitor.page
        page.goto("/")
        expect(page).to_have_url(re.compile("/sign-in"))
        visitor.settled()
        tab_to(page, "username")
        page.keyboard.type("steward")
        tab_to(page, "password")
        page.keyboard.type("steward-of-shujin")
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{http}/")
        visitor.settled()
        tab_to(page, "数据目录")
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{http}/catalogue")
        expect(page.get_by_role("heading", level=1)).to_have_text("数据目录")
        visitor.settled()
        tab_to(page, "空气质量细颗粒物小时浓度")
        seen = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert seen != "none", "one does not see where the keyboard is"
        visitor.take("keyboard")
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{http}/catalogue/air.pm25")


def test_a_telephone_shows_the_same(visit):
    pages = {
        "steward": ["", "map", "catalogue", "catalogue/air.pm25", "sharing", "sql", "registers"]
        + ["registers/place.facility", "quarantine", "account"],
        "grid": ["", "map", "screen"],
        "security": ["admin/users"],
        "auditor": ["admin/audit"],
    }
    for user, paths in pages.items():
        with visit(user, size=PHONE) as visitor:
            page = visitor.page
            for path in paths:
                page.goto(f"/{path}")
                visitor.take(f"phone-{user}-{(path or 'home').replace('/', '-')}")
                expect(page.get_by_text("您没有查看此内容的权限")).to_have_count(0)
                assert_fits(page)
