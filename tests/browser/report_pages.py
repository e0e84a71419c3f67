#!/usr/bin/env python3
"""Report pages in a real browser: light and dark, wide and narrow, with and without script.

usage: report_pages.py BNC      Exit code 77 where there is no Chromium.
"""
import gzip
import itertools
import json
import pathlib
import shutil
import struct
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))
import numpy as np
from devtools import Browser, find_chromium
from harness import SKIPPED, call, succeed

BNC = sys.argv[1]
HERE = pathlib.Path(tempfile.mkdtemp(prefix="bnc_report."))
MODEL = """block residual(x) { return relu(batch_norm(conv2d(x, 5, 3, bias=false)) + x) }

network net(x: f32[N, 12, 12, 1]) {
  h = relu(batch_norm(conv2d(x, 5, 3)))
  repeat 9 { h = residual(h) }
  return dense(global_average_pool(h), 11)
}

train net {
  loss      = softmax_cross_entropy(labels)
  optimizer = sgd(rate=cosine(start=0.1), momentum=0.9)
  batch     = 20
}
"""

REGRESSION = """network without_batch_norm(x: f32[N, 6]) {
  return dense(tanh(dense(x, 17)), 3)
}

train without_batch_norm {
  loss      = mean_squared_error(target)
  optimizer = sgd(rate=30)
  batch     = 16
}
"""

# Elements that stick out of the page, but for what a box of its own scrolls.
TOO_WIDE = """[...document.querySelectorAll('body *')].filter(e => !e.closest('svg') || e.tagName === 'svg')
  .filter(e => e.getBoundingClientRect().right > innerWidth + 0.5 && !e.parentElement.closest('.scroll, pre'))
  .map(e => e.tagName + '.' + e.className).concat(document.documentElement.scrollWidth > innerWidth ? ['the page'] : [])"""

# Charts whose marks (lines, bars, boxes) are not to be seen: none, or of no size.
NO_MARKS = """[...document.querySelectorAll('svg')].filter(s => s.checkVisibility() && ![...s.querySelectorAll('.curve polyline, circle, .bars, .points, .box rect')].some(m => {
  const b = m.getBoundingClientRect(), c = getComputedStyle(m);
  return b.width + b.height > 10 && (c.stroke !== 'none' || c.fill !== 'none');
})).map(s => s.getAttribute('aria-label'))"""

# Text whose contrast to what lies behind it is below 4.5 (WCAG AA), and lines below 3, by relative luminance.
LOW_CONTRAST = """(() => {
  const parse = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const over = (top, below) => { const a = top[3] === undefined ? 1 : top[3]; return [0, 1, 2].map(k => top[k] * a + below[k] * (1 - a)); };
  const behind = e => { const stack = []; for (; e; e = e.parentElement) stack.push(parse(getComputedStyle(e).backgroundColor));
    return stack.reverse().reduce((below, top) => over(top, below), matchMedia('(prefers-color-scheme: dark)').matches ? [18, 18, 18] : [255, 255, 255]); };
  const light = c => { const [r, g, b] = c.map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const contrast = (a, b) => { const [x, y] = [light(a), light(b)].sort((p, q) => q - p); return (x + 0.05) / (y + 0.05); };
  const bad = [];
  for (const e of document.querySelectorAll('main *')) {
    if (!e.checkVisibility()) continue;
    const style = getComputedStyle(e), text = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim()), line = e.tagName === 'polyline' && !e.parentElement.classList.contains('thin');
    if (!line && (!text || ['STYLE', 'SCRIPT', 'title'].includes(e.tagName))) continue;
    const colour = line ? style.stroke : e.closest('svg') ? style.fill : style.color, c = contrast(over(parse(colour), behind(e)), behind(e));
    if (c < (line ? 3 : 4.5)) bad.push(e.tagName + ' ' + e.textContent.slice(0, 30) + ' ' + c.toFixed(2));
  }
  return bad;
})()"""

# Text of charts that is lower than 11 pixels on the screen or higher than 22, and neighbouring labels that overlap.
POOR_LABELS = """[...document.querySelectorAll('svg')].filter(s => s.checkVisibility()).flatMap(s => {
  const texts = [...s.querySelectorAll('text')].map(t => ({t, b: t.getBoundingClientRect()})), frame = s.getBoundingClientRect(), bad = [];
  texts.forEach(({t, b}, k) => {
    if (b.height < 11 || b.height > 22) bad.push('height ' + b.height + ': ' + t.textContent);
    if (b.left < frame.left - 1 || b.right > frame.right + 1) bad.push('cut off: ' + t.textContent);
    for (const o of texts.slice(k + 1)) if (b.left < o.b.right - 1 && o.b.left < b.right - 1 && b.top < o.b.bottom - 4 && o.b.top < b.bottom - 4) bad.push(t.textContent + ' over ' + o.t.textContent);
  });
  return bad;
})"""

# Text that sticks out of its box, tables of fewer than eight columns that must be scrolled sideways, and words of names and titles that are broken in two.
SPILLS = """[...document.querySelectorAll('.card, figure, .key, td, th, :not(.predictions) > caption, summary, h1, h3')]
  .filter(e => e.checkVisibility() && e.scrollWidth > e.clientWidth + 1).map(e => 'spills: ' + e.textContent.slice(0, 40))
  .concat([...document.querySelectorAll('.scroll')].filter(e => e.scrollWidth > e.clientWidth + 1 && e.querySelectorAll('thead th').length < 8).map(e => 'to scroll: ' + e.textContent.slice(0, 40)))"""
BROKEN_WORDS = """[...document.querySelectorAll('th, td, caption, summary, h1, h3, .key, .card, nav')].filter(e => e.checkVisibility()).flatMap(e => {
  const bad = [], texts = document.createTreeWalker(e, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) for (const word of texts.currentNode.data.matchAll(/[a-z]+/gi)) {
    const range = document.createRange();
    range.setStart(texts.currentNode, word.index);
    range.setEnd(texts.currentNode, word.index + word[0].length);
    if (new Set([...range.getClientRects()].map(r => Math.round(r.top))).size > 1) bad.push('broken: ' + word[0] + ' in ' + e.textContent.slice(0, 40));
  }
  return bad;
})"""

# Ticks between whole numbers below curves, which go over steps.
BROKEN_STEPS = """[...document.querySelectorAll('.chart svg[data-across^="training step"] .across')].map(t => t.textContent).filter(t => t.includes('.') && !/[kM]$/.test(t))"""

# Headers of a table that is laid out in several columns of the page that do not begin at one height.
CROOKED_HEADERS = """[...document.querySelectorAll('table')].filter(t => t.checkVisibility() && t.tHead && t.tHead.checkVisibility()).flatMap(t => {
  const tops = new Set([...t.tHead.rows[0].getClientRects()].map(box => Math.round(box.top)));
  return tops.size > 1 ? ['headers at several heights: ' + t.caption.textContent] : [];
})"""

# Links that lead nowhere.
DEAD_LINKS = """[...document.querySelectorAll('nav a')].map(a => a.getAttribute('href')).filter(h => !document.getElementById(h.slice(1)))"""

WITHOUT_NAME = """[...document.querySelectorAll('svg:not([aria-label]), img:not([alt]), table:not(:has(caption))')].map(e => e.outerHTML.slice(0, 80))"""


def write_images(folder, prefix, count, seed):
    """Bright squares at one of eleven places."""
    random = np.random.default_rng(seed)
    labels = random.integers(0, 11, count)
    images = random.integers(0, 120, (count, 12, 12))
    for image, label in zip(images, labels):
        image[label:label + 2, label:label + 2] = 255
    folder.mkdir(exist_ok=True)
    for name, array, dims in (("images-idx3", images, (count, 12, 12)), ("labels-idx1", labels, (count,))):
        header = struct.pack(">I", 0x800 + len(dims)) + struct.pack(f">{len(dims)}I", *dims)
        (folder / f"{prefix}-{name}-ubyte.gz").write_bytes(gzip.compress(header + array.astype(np.uint8).tobytes()))


def write_points(path, count):
    random = np.random.default_rng(3)
    x = random.normal(size=(count, 6)).astype(np.float32)
    np.savez(path, x=x, y=x[:, :3] * 2)


def check_quiet(browser, page):
    """Nothing but the page itself was read, and nothing was complained about."""
    for event in browser.events:
        method, content = event.get("method"), event.get("params", {})
        if method == "Network.requestWillBeSent":
            url = content["request"]["url"]
            assert url.startswith("data:") or url == page.resolve().as_uri(), f"{page.name} asks for {url}"
        assert method not in ("Runtime.exceptionThrown", "Log.entryAdded"), f"{page.name}: {content}"
        assert method != "Runtime.consoleAPICalled", f"{page.name}: {content}"


def check_page(browser, page, charts):
    for width, scheme in ((390, "light"), (390, "dark"), (768, "light"), (1280, "dark"), (1280, "light")):
        browser.open(page, width, scheme)
        browser.evaluate("document.querySelectorAll('details').forEach(d => d.open = true)")
        where = f"{page.name} at {width}, {scheme}"
        assert browser.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") == (scheme == "dark")
        assert browser.evaluate("document.querySelectorAll('.chart svg').length") == charts, where
        for check in (TOO_WIDE, NO_MARKS, LOW_CONTRAST, POOR_LABELS, WITHOUT_NAME, SPILLS, BROKEN_WORDS, BROKEN_STEPS, CROOKED_HEADERS, DEAD_LINKS):
            found = browser.evaluate(check)
            assert found == [], f"{where}: {found[:5]}"
        check_quiet(browser, page)


# What people without cones for red, green or blue see of linear RGB (Machado, Oliveira and Fernandes, 2009).
COLOUR_BLINDNESS = {
    "red": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "green": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "blue": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


def lab(rgb):
    """CIELAB of linear RGB."""
    xyz = np.array([[.4124, .3576, .1805], [.2126, .7152, .0722], [.0193, .1192, .9505]]) @ np.clip(rgb, 0, 1) / np.array([.9505, 1, 1.089])
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def check_colours(browser, page):
    """Curves drawn alike differ in colour by far more than the 2.3 that is just noticeable, whoever looks."""
    for scheme in ("light", "dark"):
        browser.open(page, 1280, scheme)
        colours = browser.evaluate("""[...Array(8).keys()].map(k => {
            const probe = document.body.appendChild(document.createElement('i'));
            probe.className = 'swatch c' + k;
            return getComputedStyle(probe).backgroundColor.match(/[\\d.]+/g).map(Number);
        })""")
        linear = [np.where((c := np.array(colour) / 255) <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4) for colour in colours]
        for name, seen in COLOUR_BLINDNESS.items():
            for k, j in itertools.combinations(range(8), 2):
                if k // 4 != j // 4:
                    continue   # solid and dashed
                difference = np.linalg.norm(lab(seen @ linear[k]) - lab(seen @ linear[j]))
                assert difference > 12, f"{scheme}: c{k} and c{j} without cones for {name}: {difference:.1f}"


def check_toggles(browser, page):
    browser.open(page)
    shown = "[...document.querySelectorAll('.curve')].filter(c => getComputedStyle(c).display !== 'none').length"
    rows = "[...document.querySelectorAll('#predictions tbody tr')].filter(r => r.checkVisibility()).length"
    before, all_rows = browser.evaluate(shown), browser.evaluate(rows)
    browser.evaluate("document.querySelector('.key[data-name=test]').click()")
    assert browser.evaluate(shown) == before - 2, "the curves of loss and accuracy"
    assert browser.evaluate("document.querySelectorAll('.key[aria-pressed=false]').length") == 2
    browser.evaluate("document.querySelectorAll('.key[data-name=test]')[1].click()")
    assert browser.evaluate(shown) == before
    counts = []
    for kind in ("wrong-row", "right-row"):
        browser.evaluate(f"document.querySelector('.filter [data-only={kind}]').click()")
        counts.append(browser.evaluate(rows))
    assert min(counts) > 0 and sum(counts) == all_rows, (counts, all_rows)
    browser.evaluate("""(() => { const s = document.querySelector('.chart svg'), b = s.getBoundingClientRect();
        s.dispatchEvent(new PointerEvent('pointermove', {clientX: b.right - 4, clientY: b.top + 60})); })()""")
    tip = "document.getElementById('tip').hidden ? '' : document.getElementById('tip').textContent"
    told = browser.evaluate(tip)
    assert told.startswith("training step 60\ntraining: ") and "test: " in told, told
    browser.evaluate("document.querySelector('.chart svg').focus()")
    browser.evaluate("document.querySelector('.chart svg').dispatchEvent(new KeyboardEvent('keydown', {key: 'ArrowLeft'}))")
    told = browser.evaluate(tip)
    assert told.startswith("training step 59\n"), told
    check_quiet(browser, page)


def check_folding(browser, page, batch_norms):
    """Batch norms with which the same happened share a row, and each one is named."""
    browser.open(page)
    rows = browser.evaluate("document.querySelector('#folding table').tBodies[0].rows.length")
    others = browser.evaluate("document.querySelector('#folding table').querySelectorAll('li').length")
    assert rows < 4 and rows + others == batch_norms, (rows, others)


def task_network(name, loss):
    """A network of three numbers that gives one."""
    return f"""network {name}(x: f32[N, 3]) {{
  return dense(relu(batch_norm(dense(x, 8))), 1)
}}

train {name} {{
  loss      = {loss}
  optimizer = adam(rate=0.01)
  batch     = 16
}}
"""


BINARY = task_network("binary", "binary_cross_entropy_with_logits(labels)")
PRICES = task_network("prices", "mean_squared_error(target)")


def write_tables(folder):
    """Binary labels as text, and whole numbers to predict."""
    random = np.random.default_rng(5)
    for name, count in (("train", 200), ("test", 80)):
        x = random.normal(size=(count, 3))
        noisy = x[:, 0] + 0.5 * random.normal(size=count)
        rows = ["length,width,height of the whole thing,kind"] + [f"{a:.4f},{b:.4f},{c:.4f},{'a rather long name' if n > 0 else 'short'}" for (a, b, c), n in zip(x, noisy)]
        (folder / f"binary_{name}.csv").write_text("\n".join(rows) + "\n")
        rows = ["length,width,height,price"] + [f"{a:.4f},{b:.4f},{c:.4f},{round(100 + 10 * n)}" for (a, b, c), n in zip(x, noisy)]
        (folder / f"prices_{name}.csv").write_text("\n".join(rows) + "\n")


def check_task(browser, page, charts, headings):
    """The page of a task has its charts and sections, and looks well."""
    check_page(browser, page, charts)
    found = browser.evaluate("[...document.querySelectorAll('h2')].map(h => h.textContent)")
    assert [heading for heading in headings if heading not in found] == [], (page, found)


def check_reload(browser, folder):
    """The page of a run that goes on reloads itself with what is open staying open, and that of one that has ended does not."""
    refresh = "document.querySelectorAll('body[data-reload]').length"
    browser.open(folder / "report.html")
    assert browser.evaluate(refresh) == 0
    record = json.loads((folder / "report.json").read_text())
    (folder / "report.json").write_text(json.dumps(record | {"state": "running"}))
    running = HERE / "running.html"
    succeed(BNC, "report", folder, "-o", running)
    (folder / "report.json").write_text(json.dumps(record))
    browser.open(running)
    assert browser.evaluate(refresh) == 1
    assert browser.evaluate("document.querySelector('.state').textContent").startswith("The run had not ended when this page was written: step ")


def check_print(browser, page):
    """On paper a page is light, whatever the screen, and has nothing to click on."""
    browser.open(page, 800, "dark")
    browser.call("Emulation.setEmulatedMedia", media="print", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.evaluate("document.querySelector('nav').checkVisibility() || document.querySelector('.filter').checkVisibility()") is False
    for check in (TOO_WIDE, LOW_CONTRAST, SPILLS):
        found = browser.evaluate(check)
        assert found == [], f"{page.name} printed: {found[:5]}"
    browser.call("Emulation.setEmulatedMedia", media="")


def check_without_script(browser, page, charts):
    browser.open(page, 390, script=False)
    # Scripts of the page are off, those of the protocol are not.
    assert browser.evaluate("document.documentElement.className") == ""
    assert browser.evaluate("document.querySelectorAll('.chart svg').length") == charts
    assert browser.evaluate("getComputedStyle(document.querySelector('.filter')).display") == "none"
    assert browser.evaluate(NO_MARKS) == []


def main():
    chromium = find_chromium()
    if not chromium:
        print("skipped: there is no chromium (apt-get install chromium)")
        return SKIPPED
    (HERE / "net.bn").write_text(MODEL)
    data = HERE / "data"
    write_images(data, "train", 300, 1)
    write_images(data, "t10k", 90, 2)
    for name, seed in (("one", 1), ("a run with a long name", 2)):
        succeed(BNC, "train", HERE / "net.bn", "--data", data, "--test", data, "--steps", 60, "--seed", seed, "--out", HERE / name)
    comparison, page = HERE / "comparison.html", HERE / "one" / "report.html"
    first = page.read_bytes()
    page.unlink()
    succeed(BNC, "report", HERE / "one")
    assert page.read_bytes() == first, "not the page that the run wrote"
    succeed(BNC, "report", HERE / "one", HERE / "a run with a long name", "-o", comparison)
    # No classes, and a loss that grows beyond all bounds; names with characters that HTML gives a meaning; one step, not tested.
    odd = HERE / "odd 'n\u00e4me' & <b>50%#1.bn"
    odd.write_text(REGRESSION)
    write_points(HERE / "points.npz", 64)
    succeed(BNC, "train", odd, "--data", HERE / "points.npz", "--test", HERE / "points.npz", "--steps", 4, "--out", HERE / "odd & <i>")
    succeed(BNC, "train", HERE / "net.bn", "--data", data, "--steps", 1, "--out", HERE / "short")
    write_tables(HERE)
    for name, source in (("binary", BINARY), ("prices", PRICES)):
        (HERE / f"{name}.bn").write_text(source)
        succeed(BNC, "train", HERE / f"{name}.bn", "--data", HERE / f"{name}_train.csv", "--test", HERE / f"{name}_test.csv", "--steps", 60, "--out", HERE / name)
    (HERE / "diverging.bn").write_text(PRICES.replace("adam(rate=0.01)", "sgd(rate=1e20)").replace("batch_norm(dense(x, 8))", "dense(x, 8)"))
    assert call(BNC, "train", HERE / "diverging.bn", "--data", HERE / "prices_train.csv", "--steps", 60, "--out", HERE / "diverging").returncode == 1
    mixed = HERE / "mixed.html"
    succeed(BNC, "report", *[HERE / "odd & <i>"] * 2, HERE / "short", *[HERE / "one"] * 7, "-o", mixed)
    of_net = 1 + 3 * 10   # all batch norms in one chart, and three of each
    with Browser(chromium) as browser:
        check_page(browser, page, 3 + of_net)
        check_page(browser, comparison, 5)
        check_page(browser, HERE / "odd & <i>" / "report.html", 2 + 3 * 3)   # of three numbers
        check_page(browser, HERE / "short" / "report.html", 3 + of_net)
        check_page(browser, mixed, 5)
        check_task(browser, HERE / "binary" / "report.html", 3 + 3 + 2, ["Predictions", "Confusion", "Classes", "Thresholds"])
        check_task(browser, HERE / "prices" / "report.html", 2 + 3 + 3, ["Predictions"])
        check_task(browser, HERE / "diverging" / "report.html", 2, ["Course"])
        assert browser.evaluate("document.querySelectorAll('.state.bad').length + ' ' + document.querySelectorAll('line.mark').length") == "1 2"
        check_reload(browser, HERE / "prices")
        check_colours(browser, page)
        check_folding(browser, page, 10)
        check_toggles(browser, page)
        check_print(browser, page)
        check_without_script(browser, page, 3 + of_net)
    shutil.rmtree(HERE)
    print("all passed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
