#!/usr/bin/python3
"""The status page of a real weir run, under traffic, in headless Chromium."""

import json
import os
import re
import socket
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(HERE, "..", "e2e")]

from browser import Browser
from collect import tap, until
from live import Line, Weir
from traffic import Traffic

URL = "http://127.0.0.1:9480/"
PICTURES = os.environ.get("WEIR_PICTURES") or tempfile.mkdtemp(prefix="weir-page-pictures-")
LIVE = "document.querySelector('#pulse.live') !== null"
SCREENS = [(f"{name}-{scheme}", width, height, scheme, scale)
           for name, width, height, scale in (("desktop", 1280, 900, 1), ("phone", 360, 740, 2))
           for scheme in ("light", "dark")]
# The text of a table's cells, row by row.
ROWS = """[...document.querySelectorAll('#%s tbody tr')].map(
    row => [...row.cells].map(cell => cell.querySelector('span').textContent))"""
# What is wider than the screen, for the complaint.
WIDE = """[...document.querySelectorAll('body *')].filter(
    e => e.getBoundingClientRect().right > innerWidth + 0.5
        && getComputedStyle(e).position !== 'absolute').map(e => e.outerHTML.slice(0, 80))"""
# The contrast of each text with what is behind it, WCAG 2.2 section 1.4.3, where it is too little.
PALE = """(() => {
    const parse = text => text.match(/[\\d.]+/g).map(Number);
    const light = ([r, g, b]) => [r, g, b].map(c => c / 255).map(
        c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
        .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = e => {
        for (; e; e = e.parentElement) {
            const color = parse(getComputedStyle(e).backgroundColor);
            if (color.length === 3 || color[3] === 1) return color;
        }
        return [255, 255, 255];
    };
    return [...document.querySelectorAll('body *')].filter(e => e.checkVisibility() && [...e.childNodes]
        .some(n => n.nodeType === 3 && n.data.trim() !== '')).map(e => {
            const svg = e instanceof SVGElement, style = getComputedStyle(e);
            const [a, b] = [light(parse(svg ? style.fill : style.color)), light(ground(e))];
            const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
            return [e.textContent.slice(0, 40), ratio];
        }).filter(([, ratio]) => ratio < 4.5);
})()"""
ODD = "flows <b id=broken>&\"'"  # of a folder


def plain(text):
    return int(text.replace(",", ""))


def status(line):
    done = line.exec("b", "curl", "-s", URL + "status.json")
    return json.loads(done.stdout)


def check_figures(line, browser):
    """What is shown when all is quiet is what status.json says."""
    now = status(line)
    rows = {name: browser.evaluate(ROWS % name)
            for name in ("packets", "ports", "sinks", "workers", "ends", "archive")}
    packets = {row[0]: row for row in rows["packets"]}
    assert plain(packets["received"][1]) == now["received"]["packets"], packets
    assert plain(packets["metered, in flows"][1]) == now["metered"]["packets"], packets
    shown = {reason["packets"] for reason in now["unmetered"]} - {0}
    assert {plain(row[1]) for row in rows["packets"][2:]} - {0} == shown, rows["packets"]
    assert [(row[0], row[1], plain(row[4])) for row in rows["ports"]] == [
        (port["name"], "up" if port["up"] else "down", port["packets"]) for port in now["ports"]]
    assert [(row[0], plain(row[3]), plain(row[4])) for row in rows["sinks"]] == [
        (sink["name"], sink["sent"], sum(loss["records"] for loss in sink["lost"]))
        for sink in now["sinks"]], rows["sinks"]
    flows = [worker["flows"] for worker in now["workers"]]
    assert [plain(row[2]) for row in rows["workers"] if row[2]] == flows, rows["workers"]
    text = browser.evaluate("document.querySelector('.fill').textContent")
    assert text.startswith(f"{now['cache']['flows']:,} of {now['cache']['capacity']:,} flows"), text
    made = {end["records"] for end in now["records"]} - {0}
    assert {plain(row[1]) for row in rows["ends"]} - {0} == made, rows["ends"]
    assert plain(rows["archive"][1][1]) == now["archive"]["archived"], rows["archive"]
    texts = browser.evaluate("[...document.querySelectorAll('#health li')].map(e => e.textContent)")
    assert texts == [said["text"] for said in now["health"]], (texts, now["health"])


def check_tops(line, browser):
    """The busiest addresses, while traffic flows."""
    shown = browser.until(f"(rows => rows.length === 10 && rows)({ROWS % 'sources'})", "ten sources")
    known = {row["addr"] for row in status(line)["top"]["sources"]}
    assert len(known & {row[0] for row in shown}) >= 5, (shown, known)
    services = browser.evaluate(ROWS % "services")
    assert services[0][0] == "TCP 443 HTTPS", services
    assert re.fullmatch(r"\S+ ↔ \S+", browser.evaluate(ROWS % "conversations")[0][0])


def check_screens(browser):
    os.makedirs(PICTURES, exist_ok=True)
    grounds = set()
    for name, width, height, scheme, scale in SCREENS:
        browser.screen(width, height, scheme, scale)
        browser.until(f"document.querySelector('#charts svg').viewBox.baseVal.width < {width}",
                      "charts of the new width")
        browser.picture(os.path.join(PICTURES, f"{name}.png"))
        found = browser.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert found == [width, width], (name, found, browser.evaluate(WIDE))
        assert browser.evaluate(WIDE) == [], (name, browser.evaluate(WIDE))
        assert browser.evaluate(PALE) == [], (name, browser.evaluate(PALE))
        grounds.add(browser.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert len(grounds) == 2, grounds
    browser.screen(1280, 900)


def check_charts(browser):
    """Keys and a pointer read a moment off all charts; who cannot see them is told."""
    labels = browser.evaluate("[...document.querySelectorAll('#charts svg[role=img]')].map("
                              "e => e.getAttribute('aria-label'))")
    assert len(labels) == 5 and all("now" in label and "most" in label for label in labels), labels
    # The figure above a chart is its last point: that of a shorter time could be beyond the most.
    shown = browser.evaluate("[...document.querySelectorAll('#charts .now b')].map(e => [e.textContent,"
                             "e.closest('article').querySelector('svg[role=img]').getAttribute('aria-label')])")
    assert len(shown) == 5 and all(f"now {value} " in label for value, label in shown), shown
    browser.evaluate("document.querySelector('.plot').focus()")
    for key in ("Home", "ArrowRight", "End"):
        for kind in ("keyDown", "keyUp"):
            browser.call("Input.dispatchKeyEvent", type=kind, key=key, code=key)
        told = browser.evaluate("document.querySelector('.plot').getAttribute('aria-valuetext')")
        assert re.fullmatch(r"[\d.]+(\s[kMG])? bit/s at \d\d:\d\d:\d\d", told), told
        crosses = browser.evaluate("document.querySelectorAll('#charts .cross').length")
        assert crosses == 5, (key, crosses)
    box = browser.evaluate("(b => [b.left, b.right, b.top])("
                           "document.querySelectorAll('.plot')[1].getBoundingClientRect())")
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=box[1] - 20, y=box[2] + 40)
    assert browser.evaluate("document.querySelectorAll('#charts .when')[1].textContent") \
        .startswith("at "), "the pointer reads nothing"
    browser.call("Input.dispatchMouseEvent", type="mouseMoved", x=2, y=2)
    browser.evaluate("document.activeElement.blur()")
    assert browser.evaluate("document.querySelectorAll('#charts .cross').length") == 0


def check_names(browser):
    """A folder's name that is HTML is text."""
    assert browser.evaluate("document.getElementById('broken') === null")
    assert ODD in browser.evaluate("document.getElementById('archive').textContent")


def check_tab(browser):
    """Whoever is not seen does not ask."""
    def asked():
        return len([url for url in browser.urls() if url.endswith("status.json")])

    hide = "Object.defineProperty(document, 'hidden', {configurable: true, get: () => %s});" \
        "document.dispatchEvent(new Event('visibilitychange'))"
    browser.evaluate(hide % "true")
    before = asked()
    browser.evaluate("new Promise(done => setTimeout(done, 7000))")  # two polls' time
    assert asked() <= before + 1, (before, asked())
    browser.evaluate(hide % "false")
    browser.until(LIVE, "the page to go on")
    browser.evaluate("new Promise(done => setTimeout(done, 1000))")
    assert asked() > before, "it does not ask again"


def test_the_page_shows_a_running_sensor():
    with Line() as line, tempfile.TemporaryDirectory(prefix="weir-page-") as folder, \
            line.socket("b", socket.AF_INET, socket.SOCK_DGRAM) as collector, \
            line.socket("a", socket.AF_PACKET, socket.SOCK_RAW) as sender, \
            Browser(line.prefix("b")) as browser:
        os.chmod(folder, 0o755)
        collector.bind(("127.0.0.1", 2055))
        sender.bind(("va0", 0))
        with Weir(line, "b", "--port", "vb0", "--workers=2", "--idle-timeout=5s", "--socket=none",
                  "--collector", "127.0.0.1:2055", "--archive", os.path.join(folder, ODD),
                  "--archive-flush=100ms") as weir:
            browser.screen(1280, 900)
            browser.open(URL)
            browser.until(LIVE, "the page")
            with Traffic(sender, 1500):
                check_tops(line, browser)
                browser.until("document.querySelector('#charts path.line').getAttribute('d')"
                              ".split('L').length >= 4", "some of the history")
                check_screens(browser)
                check_charts(browser)
            check_names(browser)
            wait_for_quiet(line, browser)
            check_figures(line, browser)
            check_tab(browser)
            assert browser.complaints() == [], browser.complaints()
            elsewhere = [url for url in browser.urls()
                         if not url.startswith(URL) and not url.startswith("data:")]
            assert elsewhere == [], elsewhere
            weir.stop()
            check_end(browser)
        with Weir(line, "b", "--port", "vb0", "--socket=none"):
            browser.until(LIVE, "the page to find the next weir")


def wait_for_quiet(line, browser):
    """Until all flows are over and the page shows it."""
    shown = []

    def quiet():
        now = status(line)
        made = sum(end["records"] for end in now["records"])
        shown.append(now["cache"]["flows"] == 0 and all(sink["sent"] == made for sink in now["sinks"]))
        return shown[-1]

    until(quiet, "all flows to be over", wait_s=60)
    # What it asked before that is on the way.
    seen = browser.evaluate("document.getElementById('pulse').textContent")
    for _ in range(2):
        seen = browser.until("(text => text !== %s && text)("
                             "document.getElementById('pulse').textContent)" % json.dumps(seen),
                             "the page to ask again")


def check_end(browser):
    said = browser.until("document.querySelector('#pulse.lost')?.textContent", "its complaint")
    assert re.fullmatch(r"No answer from weir since \d\d:\d\d:\d\d\.", said), said
    assert browser.evaluate("document.querySelectorAll('#packets tbody tr').length") > 2
    browser.picture(os.path.join(PICTURES, "desktop-no-answer.png"), whole=False)


def test_without_script_it_says_where_the_figures_are():
    with Line() as line, Browser(line.prefix("b")) as browser, \
            Weir(line, "b", "--port", "vb0", "--socket=none"):
        browser.call("Emulation.setScriptExecutionDisabled", value=True)
        browser.open(URL)
        until(lambda: "weir top" in text_of(browser), "the words for who has no script")
        text = text_of(browser)
        assert "status.json" in text and "needs JavaScript" in text, text


def text_of(browser):
    """The document that there is, which may be another between the two questions."""
    root = browser.call("DOM.getDocument", depth=-1)["root"]
    try:
        return browser.call("DOM.getOuterHTML", nodeId=root["nodeId"])["outerHTML"]
    except AssertionError as error:
        if "Could not find node" not in str(error):
            raise
        return ""


if __name__ == "__main__":
    print(f"# pictures come to {PICTURES}")
    tap.run_module(globals())
