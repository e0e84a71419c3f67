#include "runtime/report/page_parts.h"

namespace bnc {

// Hovering, touching and arrow keys tell numbers; keys of the legends show and hide curves, all of one name on the page; filters choose
// rows of a table.
const char* const page_script = R"(
'use strict';
document.documentElement.classList.add('js');
const all = (selector, inside = document) => [...inside.querySelectorAll(selector)];
const tip = document.getElementById('tip');

for (const key of all('.legend .key[data-name]')) key.addEventListener('click', () => {
  const on = key.getAttribute('aria-pressed') === 'false';
  for (const same of all('.key[data-name]')) if (same.dataset.name === key.dataset.name) same.setAttribute('aria-pressed', on);
  for (const curve of all('.curve')) if (curve.dataset.name === key.dataset.name) curve.classList.toggle('off', !on);
});

for (const filter of all('.filter')) for (const button of all('button', filter)) button.addEventListener('click', () => {
  for (const other of all('button', filter)) other.setAttribute('aria-pressed', other === button);
  for (const row of all('tbody tr', filter.closest('section')))
    row.classList.toggle('off', button.dataset.only !== '' && !row.classList.contains(button.dataset.only));
});

// The page of a run that goes on: what is open stays open. Not while nobody looks, nor where the file is old: the run is gone.
if (document.body.dataset.reload) {
  const name = 'open ' + location.pathname, boxes = all('details'), longest = 3600e3;
  try { for (const k of JSON.parse(sessionStorage.getItem(name) || '[]')) if (boxes[k]) boxes[k].open = true; } catch {}
  setInterval(() => {
    if (document.hidden || Date.now() - new Date(document.lastModified) > longest) return;
    try { sessionStorage.setItem(name, JSON.stringify(boxes.flatMap((box, k) => box.open ? [k] : []))); } catch {}
    location.reload();
  }, 1000 * document.body.dataset.reload);
}

const numbers = text => text.trim().split(' ').map(Number);
for (const svg of all('.chart svg')) {
  const curves = all('.curve', svg).map(node => ({node, line: node.querySelector('polyline').points, x: numbers(node.dataset.x), y: numbers(node.dataset.y)}));
  if (!curves.length) continue;
  const cursor = document.createElementNS(svg.namespaceURI, 'line');
  cursor.setAttribute('class', 'cursor off');
  cursor.setAttribute('y1', 28);
  cursor.setAttribute('y2', 208);
  svg.append(cursor);
  // Tells the numbers at the point nearest to `at`, beside the place (left, top) of the window.
  const tell = (at, left, top) => {
    const shown = curves.filter(curve => !curve.node.classList.contains('off'));
    if (!shown.length) return;
    const nearest = curve => curve.x.keys().reduce((best, k) => Math.abs(curve.line[k].x - at) < Math.abs(curve.line[best].x - at) ? k : best, 0);
    const places = shown.map(nearest), x = shown.reduce((best, curve, k) => Math.abs(curve.line[places[k]].x - at) < Math.abs(best - at) ? curve.line[places[k]].x : best, Infinity);
    const first = shown.findIndex((curve, k) => curve.line[places[k]].x === x);
    tip.textContent = [svg.dataset.across.split(',')[0] + ' ' + shown[first].x[places[first]], ...shown.map((curve, k) => curve.node.dataset.name + ': ' + curve.y[places[k]])].join('\n');
    tip.hidden = false;
    tip.style.left = Math.max(4, Math.min(left + 14, innerWidth - tip.offsetWidth - 8)) + 'px';
    tip.style.top = Math.max(4, top - tip.offsetHeight - 12) + 'px';
    cursor.setAttribute('x1', x);
    cursor.setAttribute('x2', x);
    cursor.classList.remove('off');
  };
  const scale = () => svg.getBoundingClientRect().width / svg.viewBox.baseVal.width;
  for (const move of ['pointermove', 'pointerdown']) svg.addEventListener(move, event => tell((event.clientX - svg.getBoundingClientRect().left) / scale(), event.clientX, event.clientY));
  svg.tabIndex = 0;
  svg.addEventListener('keydown', event => {
    const step = {ArrowLeft: -1, ArrowRight: 1}[event.key];
    if (!step) return;
    event.preventDefault();
    const points = [...new Set(curves.filter(curve => !curve.node.classList.contains('off')).flatMap(curve => [...curve.line].map(point => point.x)))].sort((a, b) => a - b);
    const at = points[Math.max(0, Math.min(points.length - 1, points.indexOf(+cursor.getAttribute('x1')) + step))], box = svg.getBoundingClientRect();
    tell(at, box.left + at * scale(), box.top + 60);
  });
  for (const end of ['pointerleave', 'pointercancel', 'blur']) svg.addEventListener(end, () => { tip.hidden = true; cursor.classList.add('off'); });
}
)";

}  // namespace bnc
