"""Headless Chromium, asked over its DevTools protocol through a pipe, and what a page did in it."""

import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

WAIT_S = 30


class Browser:
    """Chromium with one page, for the time of a `with`; `prefix` is of its command, such as another
    network namespace."""

    def __init__(self, prefix=()):
        program = shutil.which("chromium")
        assert program is not None, "Debian's package chromium is not installed"
        self.folder = tempfile.TemporaryDirectory(prefix="weir-page-", ignore_cleanup_errors=True)
        to_read, self.write_fd = os.pipe()
        self.read_fd, to_write = os.pipe()
        high = [os.dup(fd) for fd in (to_read, to_write)]  # not 3 and 4 themselves

        def place():
            os.dup2(high[0], 3)
            os.dup2(high[1], 4)

        self.process = subprocess.Popen(
            [*prefix, program, "--headless=new", "--no-sandbox", "--disable-gpu", "--mute-audio",
             "--disable-dev-shm-usage", "--disable-background-networking", "--no-first-run",
             "--disable-component-update", "--hide-scrollbars", "--remote-debugging-pipe",
             f"--user-data-dir={self.folder.name}", "about:blank"],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            preexec_fn=place, pass_fds=(3, 4))
        for fd in (to_read, to_write, *high):
            os.close(fd)
        self.unread = b""
        self.number = 0
        self.session = None
        self.events = []

    def __enter__(self):
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(t["targetId"] for t in targets if t["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        os.close(self.read_fd)
        os.close(self.write_fd)
        self.folder.cleanup()

    def receive(self, deadline):
        while b"\0" not in self.unread:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.read_fd], [], [], left)[0]:
                raise AssertionError("Chromium does not answer")
            got = os.read(self.read_fd, 1 << 16)
            assert got, "Chromium has ended"
            self.unread += got
        message, self.unread = self.unread.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session is not None:
            message["sessionId"] = self.session
        os.write(self.write_fd, json.dumps(message).encode() + b"\0")
        deadline = time.monotonic() + WAIT_S
        while True:
            answer = self.receive(deadline)
            if answer.get("id") == self.number:
                assert "error" not in answer, (method, answer)
                return answer["result"]
            self.events.append(answer)

    def evaluate(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                           awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def until(self, expression, what, wait_s=WAIT_S):
        deadline = time.monotonic() + wait_s
        while not (value := self.evaluate(expression)):
            assert time.monotonic() < deadline, f"waited {wait_s} s in vain for {what}"
            time.sleep(0.1)
        return value

    def open(self, url):
        self.call("Page.navigate", url=url)

    def screen(self, width, height, scheme="light", scale=1):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=scale, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": scheme}])

    def picture(self, path, whole=True):
        # A frame that shows the new size, then the picture.
        self.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
        picture = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=whole)
        with open(path, "wb") as file:
            file.write(base64.b64decode(picture["data"]))

    def named(self, *methods):
        return [event["params"] for event in self.events if event.get("method") in methods]

    def complaints(self):
        """What the console has against the page, and its uncaught errors."""
        return [entry["entry"] for entry in self.named("Log.entryAdded")
                if entry["entry"]["level"] in ("error", "warning")] \
            + [said for said in self.named("Runtime.consoleAPICalled")
               if said["type"] in ("error", "warning", "assert")] \
            + self.named("Runtime.exceptionThrown")

    def urls(self):
        return [request["request"]["url"] for request in self.named("Network.requestWillBeSent")]
