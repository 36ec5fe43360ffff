"""People's jobs, walked through in a browser on the demonstration city."""

import base64
import hashlib
import hmac
import re
import struct
import time

from playwright.sync_api import expect
from screens import browser, http, shown_city, visit  # noqa: F401

CODE_SECONDS = 30


def code_of(secret, at=None):
    """A one-time code (RFC 6238): HMAC-SHA-1, six digits, thirty seconds."""
    step = int((at or time.time()) // CODE_SECONDS)
    key = base64.b32decode(secret + "=" * (-len(secret) % 8))
    digest = hmac.new(key, struct.pack(">Q", step), hashlib.sha1).digest()
    start = digest[-1] & 15
    number = struct.unpack(">I", digest[start : start + 4])[0] & 0x7FFFFFFF
    return f"{number % 1_000_000:06}"


def test_signing_in_with_a_second_factor(visit, http):
    user = "policy"
    with visit() as visitor:
        page = visitor.page
        page.goto("/")
        expect(page).to_have_url(re.compile("/sign-in"))
        visitor.take("sign-in")
    with visit(user) as visitor:
        page = visitor.page
        page.goto("/account")
        page.get_by_role("button", name="开启第二步验证").click()
        secret = page.locator("code.after").inner_text().replace(" ", "")
        visitor.take("second-factor")
        used = code_of(secret)
        page.get_by_label("六位数字").fill(used)
        page.get_by_role("button", name="确认开启").click()
        expect(page.get_by_text("已开启", exact=True)).to_be_visible()
    with visit() as visitor:
        page = visitor.page
        page.goto("/sign-in")
        page.fill("input[name=username]", user)
        page.fill("input[name=password]", f"{user}-of-shujin")
        page.keyboard.press("Enter")
        code = page.get_by_label("验证码", exact=True)
        expect(code).to_be_visible()
        # No code opens twice, so this one is of the next half minute, as a clock a little ahead.
        code.fill(code_of(secret, time.time() + CODE_SECONDS))
        page.keyboard.press("Enter")
        expect(page).to_have_url(f"{http}/")
        visitor.take("home-policy")


def test_a_dataset_is_found_asked_for_granted_and_queried(visit):
    with visit("health") as visitor:
        page = visitor.page
        page.goto("/catalogue")
        page.get_by_label("搜索数据").fill("PM2.5")
        page.get_by_role("link", name=re.compile("细颗粒物")).first.click()
        page.get_by_role("tab", name="血缘").click()
        visitor.take("lineage")
        page.goto("/catalogue/market.enterprise")
        page.get_by_role("button", name="申请使用").first.click()
        asking = page.get_by_role("dialog")
        asking.get_by_label("用途").fill("核对医疗机构名录")
        asking.get_by_label("法律依据").fill("《基本医疗卫生与健康促进法》第三十八条")
        visitor.take("request")
        asking.get_by_role("button", name="提交申请").click()
        expect(asking).to_be_hidden()
    with visit("market") as visitor:
        page = visitor.page
        page.goto("/sharing")
        page.get_by_role("button", name=re.compile("核对医疗机构名录")).click()
        page.get_by_role("button", name="批准", exact=True).click()
        approving = page.get_by_role("dialog", name="批准申请")
        visitor.take("approve")
        approving.get_by_role("button", name="批准").click()
        expect(approving).to_be_hidden()
    with visit("health") as visitor:
        page = visitor.page
        page.goto("/sql")
        page.locator(".cm-content").click()
        page.keyboard.insert_text("SELECT count(*) AS firms FROM market.enterprise")
        page.keyboard.press("Control+Enter")
        expect(page.get_by_role("columnheader", name="firms")).to_be_visible()
        visitor.take("sql")
