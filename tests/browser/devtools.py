"""A headless Chromium driven over its DevTools protocol, by the pipe that --remote-debugging-pipe opens (file descriptors 3 and 4).

usage: devtools.py PAGE.html IMAGE.png [WIDTH [light|dark]]      a screenshot of the whole page
"""
import base64
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile


def find_chromium():
    return next((path for path in map(shutil.which, ("chromium", "chromium-browser", "google-chrome")) if path), None)


class Browser:
    """One page of one browser. `events` collects what the page reports: requests, messages on the console, exceptions."""

    def __init__(self, executable, timeout=3600):
        self.profile = tempfile.mkdtemp(prefix="bnc_browser.")
        to_read, self.to_write = os.pipe()
        self.from_read, from_write = os.pipe()
        # The child must find its ends at 3 and 4, wherever they are here.
        shuffle = f'exec "$0" "$@" 3<&{to_read} 4>&{from_write}'
        self.process = subprocess.Popen(["timeout", str(timeout), "bash", "-c", shuffle, executable, "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                                         "--hide-scrollbars", "--no-first-run", "--disable-extensions", "--disable-background-networking", f"--user-data-dir={self.profile}",
                                         "--remote-debugging-pipe", "about:blank"],
                                        pass_fds=(to_read, from_write), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        os.close(to_read)
        os.close(from_write)
        self.buffer, self.number, self.session, self.events = b"", 0, None, []
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def close(self):
        self.process.terminate()
        self.process.wait()
        os.close(self.to_write)
        os.close(self.from_read)
        shutil.rmtree(self.profile, ignore_errors=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def receive(self):
        while b"\0" not in self.buffer:
            part = os.read(self.from_read, 1 << 16)
            if not part:
                raise RuntimeError("the browser ended")
            self.buffer += part
        message, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(message)

    def call(self, method, **parameters):
        self.number += 1
        message = {"id": self.number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        data = json.dumps(message).encode() + b"\0"
        while data:
            data = data[os.write(self.to_write, data):]
        while True:
            answer = self.receive()
            if answer.get("id") == self.number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']}")
                return answer["result"]
            self.events.append(answer)

    def open(self, path, width=1280, scheme="light", script=True):
        self.call("Emulation.setScriptExecutionDisabled", value=not script)
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.events.clear()
        self.call("Page.navigate", url=pathlib.Path(path).resolve().as_uri())
        while not any(event.get("method") == "Page.loadEventFired" for event in self.events):
            self.events.append(self.receive())

    def evaluate(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            raise RuntimeError(f"{expression}: {result['exceptionDetails']}")
        return result["result"].get("value")

    def screenshot(self, path):
        image = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        pathlib.Path(path).write_bytes(base64.b64decode(image["data"]))


if __name__ == "__main__":
    with Browser(find_chromium()) as browser:
        browser.open(sys.argv[1], int((sys.argv[3:] or ["1280"])[0]), (sys.argv[4:] or ["light"])[0])
        browser.screenshot(sys.argv[2])
