"""People's jobs, walked through in a browser on the demonstration city."""

import base64
import hashlib
import hmac
import os
import re
import struct
import time

import pytest
from playwright.sync_api import expect
from screens import Visitor, browser, http, shown_city, visit  # noqa: F401

CODE_SECONDS = 30
RUN = os.getpid()
KEEPER, KEEPERS_PASSWORD = f"keeper-{RUN}", "brocade-by-the-river"
HEAD = (
    "编号,类型,名称,所在网格,主管部门,容量,容量单位,服务年龄下限,服务年龄上限,"
    "开放时间,关闭时间,开放日,建筑面积,位置"
)


def facility(number, name, capacity):
    place = f"POINT(104.0{number} 30.65)"
    return f"tried-{RUN}-{number},chs,{name}试诊所{RUN},510104017001,,{capacity},,,,,,,,{place}"


# The second row has no capacity to speak of, the third none that is a number.
FACILITIES = [facility(7, "锦官", 12), facility(8, "浣花", 0), facility(9, "望江", "十来张")]
QUESTION = (
    "SELECT kind, count(*) AS places, sum(capacity) AS room\n"
    "FROM place.facility GROUP BY kind ORDER BY places DESC LIMIT 8"
)


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
        expect(page.locator(".badge", has_text="已开启")).to_be_visible()
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


@pytest.fixture(scope="module")
def keeper(http, browser):
    """Who keeps the register of facilities; made by the security officer in the browser."""
    visitor = Visitor(browser, http).sign_in("security")
    page = visitor.page
    page.goto("/admin/users")
    page.get_by_role("button", name="新建用户").click()
    making = page.get_by_role("dialog", name="新建用户")
    making.get_by_label("用户名").fill(KEEPER)
    making.get_by_label("初始密码").fill(KEEPERS_PASSWORD)
    making.get_by_label("单位", exact=False).first.select_option("planning_natural_resources")
    making.get_by_role("checkbox", name=re.compile("^数据管家")).check()
    visitor.take("new-user")
    making.get_by_role("button", name="新建", exact=True).click()
    expect(making).to_be_hidden()
    visitor.close()
    return KEEPER


def write_statement(page, sql):
    page.get_by_role("button", name="新建").click()
    expect(page.locator(".cm-content .cm-placeholder")).to_be_visible()
    page.locator(".cm-content").click()
    page.keyboard.insert_text(sql)


def test_rows_of_a_file_are_repaired_in_the_browser(visit, keeper, tmp_path):
    file = tmp_path / f"facilities-{RUN}.csv"
    file.write_text("\n".join([HEAD, *FACILITIES, ""]), encoding="utf-8")
    with visit() as visitor:
        visitor.sign_in(keeper, KEEPERS_PASSWORD)
        page = visitor.page
        page.goto("/registers/place.facility")
        page.get_by_role("link", name="导入文件").click()
        with page.expect_file_chooser() as choosing:
            page.get_by_role("button", name="选择文件").click()
        choosing.value.set_files(file)
        page.get_by_role("button", name="开始导入").click()
        expect(page.get_by_role("heading", name=re.compile("^导入完成"))).to_be_visible()
        expect(page.locator("dl > .warn dd")).to_have_text("2")
        visitor.take("imported")
        page.get_by_role("link", name="修复这 2 行").click()

        expect(page.get_by_role("button", name="修复第 3 行")).to_be_visible()
        visitor.take("quarantine")
        for line, wrong, right in ((3, "0", "8"), (4, "十来张", "10")):
            page.get_by_role("button", name=f"修复第 {line} 行").click()
            mending = page.get_by_role("dialog", name=f"修复第 {line} 行")
            capacity = mending.get_by_role("textbox", name="容量", exact=True)
            expect(capacity).to_have_value(wrong)
            # What is as wrong as before is not taken, and says why.
            capacity.fill("-1")
            mending.get_by_role("button", name="改正并收入").click()
            expect(mending.get_by_text(re.compile("还是不能收入.*容量为正"))).to_be_visible()
            visitor.take(f"repair-{line}")
            capacity.fill(right)
            mending.get_by_role("button", name="改正并收入").click()
            expect(mending).to_be_hidden()
        expect(page.get_by_text("此来源没有这样的行")).to_be_visible()
        page.get_by_role("tab", name="已修复").click()
        expect(page.get_by_role("cell", name=re.compile(f"^{keeper} 于"))).to_have_count(2)
        visitor.take("repaired")

        page.goto("/registers/place.facility")
        page.get_by_label("在本登记册中查找").fill(f"试诊所{RUN}")
        rows = page.locator("tbody tr")
        expect(rows).to_have_count(3)
        mended = rows.filter(has_text="望江试诊所")
        expect(mended.get_by_role("cell", name="10", exact=True)).to_be_visible()
        # The file says `chs`; people read what that is called.
        expect(mended.get_by_role("cell", name="社区卫生服务站", exact=True)).to_be_visible()
        expect(mended.get_by_title("社区卫生服务站（chs）")).to_be_visible()
        visitor.take("register")


def test_a_row_is_changed_with_a_reason_and_keeps_its_history(visit, keeper):
    reason = "现场核实，扩建后复测"
    with visit() as visitor:
        visitor.sign_in(keeper, KEEPERS_PASSWORD)
        page = visitor.page
        page.goto("/registers/place.facility")
        page.locator("tbody tr a").first.click()
        version = page.locator("main header .badge")
        expect(version).to_contain_text("第 1 版")
        page.get_by_role("button", name="修改", exact=True).click()
        capacity = page.get_by_role("textbox", name="容量", exact=True)
        kinds = page.get_by_role("combobox", name="类型", exact=True).locator("option")
        expect(kinds.filter(has_text="公交车站")).to_have_attribute("value", "bus_stop")
        before = capacity.input_value()
        after = str(int(before) + 7)
        capacity.fill(after)
        # Without a reason nothing is saved.
        page.get_by_role("button", name="保存").click()
        expect(page.get_by_text("请填写理由")).to_be_visible()
        page.get_by_label("修改理由").fill(reason)
        visitor.take("row-change")
        page.get_by_role("button", name="保存").click()
        expect(version).to_contain_text("第 2 版")
        newest = page.locator(".line > li").first
        expect(newest).to_contain_text(f"理由：{reason}")
        expect(newest).to_contain_text(keeper)
        expect(newest.locator("del")).to_have_text(re.compile(f"^{before}"))
        expect(newest.locator("ins")).to_have_text(re.compile(f"^{after}"))
        visitor.take("row-history")
    with visit("resident") as visitor:
        page = visitor.page
        page.goto("/registers/place.facility")
        page.locator("tbody tr a").first.click()
        expect(page.get_by_text("变更记录")).to_be_visible()
        expect(page.get_by_role("button", name="修改", exact=True)).to_have_count(0)


def test_a_figure_says_where_it_comes_from(visit):
    with visit("duty") as visitor:
        page = visitor.page
        page.goto("/")
        visitor.settled()
        page.get_by_role("button", name=re.compile("^PM2.5（最近24小时均值）")).click()
        source = page.get_by_role("dialog", name=re.compile("^PM2.5"))
        expect(source.get_by_role("link", name="空气质量细颗粒物小时浓度")).to_be_visible()
        expect(source.locator(".sources").get_by_text(re.compile("及时|已过期"))).to_be_visible()
        expect(source.locator("pre")).to_contain_text(re.compile(r"from\s+air\.pm25", re.I))
        expect(source.get_by_role("heading", name="每列从何而来")).to_be_visible()
        visitor.settled()
        expect(source.get_by_text("pm25", exact=False).first).to_be_visible()
        visitor.take("figure-source")
        source.get_by_role("button", name="在查询台打开").click()
        expect(page).to_have_url(re.compile("/sql"))
        expect(page.locator(".cm-content")).to_contain_text("air.pm25")
        expect(page.locator("tbody tr")).not_to_have_count(0)


def test_a_question_is_drawn_traced_saved_and_lent(visit, http):
    title = "各类设施的数量和容量"
    with visit("steward") as visitor:
        page = visitor.page
        page.goto("/sql")
        write_statement(page, "SELECT kind FROM place.no_such_table")
        page.get_by_role("button", name="运行").click()
        expect(page.get_by_role("alert")).to_contain_text("no_such_table")
        write_statement(page, QUESTION)
        page.keyboard.press("Control+Enter")
        expect(page.locator("tbody tr")).to_have_count(8)
        page.get_by_role("tab", name="图表").click()
        chart = page.get_by_role("img", name=re.compile("柱状图"))
        expect(chart.locator("svg path")).not_to_have_count(0)
        visitor.take("sql-chart")
        page.get_by_role("tab", name="每列从何而来").click()
        expect(page.get_by_text("place.facility").last).to_be_visible()
        visitor.take("sql-lineage")
        page.get_by_role("button", name="保存").click()
        saving = page.get_by_role("dialog", name="保存查询")
        saving.get_by_label("名称").fill(title)
        saving.get_by_label("谁可以看到").select_option("everyone")
        saving.get_by_role("button", name="保存").click()
        expect(saving).to_be_hidden()
        expect(page).to_have_url(re.compile("/sql/.+"))
        link = page.url
    with visit("planner") as visitor:
        page = visitor.page
        page.goto(link)
        expect(page.get_by_role("heading", level=1)).to_contain_text(title)
        expect(page.locator(".cm-content")).to_contain_text("place.facility")
        # The text was lent, no rows were.
        expect(page.locator("tbody tr")).to_have_count(0)
        page.get_by_role("button", name="运行").click()
        expect(page.locator("tbody tr")).to_have_count(8)
        expect(page.get_by_role("button", name="删除")).to_have_count(0)
        visitor.take("sql-lent")
