#include "runtime/report/page_parts.h"

namespace bnc {

// Text has a contrast of at least 4.5 to what is behind it, curves of at least 3, in both schemes. Colour-blind readers tell c0 to c3
// apart, and c4 to c7. A test measures both in a browser.
const char* const page_style = R"(
:root { color-scheme: light dark; --page: #f6f6f4; --card: #ffffff; --text: #1d2024; --soft: #555c64; --line: #e0e1de; --bad: #b3261e;
  --good: #1e6b34; --link: 47,111,179; --strength: .5; --c0: #1f6fb8; --c1: #c2481c; --c2: #14532d; --c3: #8a3ee0; --c4: #8f6400; --c5: #0a96ab;
  --c6: #b8174f; --c7: #6d737a; }
@media screen and (prefers-color-scheme: dark) {
  :root { --page: #131517; --card: #1d2024; --text: #e8e9e7; --soft: #a9b0b8; --line: #363b42; --bad: #ff9d8f; --good: #7fd08f; --link: 116,176,238;
    --strength: .36; --c0: #6db3f2; --c1: #f0905f; --c2: #a5e39c; --c3: #b46bf5; --c4: #dbb04a; --c5: #3fc9d6; --c6: #f0609f; --c7: #d5dade; }
}
.c0 { --hue: var(--c0); }
.c1 { --hue: var(--c1); }
.c2 { --hue: var(--c2); }
.c3 { --hue: var(--c3); }
.c4 { --hue: var(--c4); }
.c5 { --hue: var(--c5); }
.c6 { --hue: var(--c6); }
.c7 { --hue: var(--c7); }
.dashed { --dash: 7 3; --line-sample: repeating-linear-gradient(90deg, var(--hue) 0 6px, transparent 6px 9px); }
.dotted { --dash: 2 3; --line-sample: repeating-linear-gradient(90deg, var(--hue) 0 2px, transparent 2px 5px); }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--text); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 1240px; margin: 0 auto; padding: 24px 16px 56px; }
h1 { font-size: 26px; line-height: 1.25; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 20px; margin: 40px 0 4px; }
h3 { font-size: 16px; margin: 24px 0 8px; overflow-wrap: anywhere; }
a { color: rgb(var(--link)); }
nav { display: flex; flex-wrap: wrap; gap: 4px 18px; margin-top: 16px; }
p { color: var(--soft); margin: 0 0 12px; max-width: 78ch; }
code { font-size: .92em; overflow-wrap: anywhere; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: 12px; margin-top: 16px; }
.card, figure, .scroll, pre, details { background: var(--card); border: 1px solid var(--line); border-radius: 8px; }
.card { padding: 10px 14px; color: var(--soft); font-size: 14px; }
.card b { display: block; font-size: 24px; line-height: 1.3; color: var(--text); font-variant-numeric: tabular-nums; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(320px, 100%), 1fr)); gap: 12px; }
figure { margin: 0; padding: 12px; min-width: 0; }
figcaption { font-weight: 600; }
.chart { display: flex; flex-direction: column; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 6px; margin: 4px 0; }
.key { display: inline-flex; align-items: center; gap: 7px; padding: 3px 8px; border: 1px solid var(--line); border-radius: 6px; background: none;
  color: var(--text); font: inherit; font-size: 14px; text-align: left; overflow-wrap: anywhere; }
.js .key, .js .filter button { cursor: pointer; }
.key i, .swatch { flex: none; width: 24px; height: 4px; border-radius: 2px; background: var(--line-sample, var(--hue)); }
.key[aria-pressed=false] { color: var(--soft); text-decoration: line-through; }
.key[aria-pressed=false] i { opacity: .3; }
svg { width: 100%; height: auto; display: block; touch-action: pan-y; }
svg text { fill: var(--soft); font-size: 13px; }
svg .title { fill: var(--text); }
.grid { stroke: var(--line); }
.chart svg { max-width: 480px; margin-top: auto; }
.curve polyline { fill: none; stroke: var(--hue); stroke-width: 2; stroke-linejoin: round; stroke-dasharray: var(--dash, none); }
.curve circle { fill: var(--hue); }
.curve.thin polyline { stroke-width: 1; stroke-opacity: .45; }
.band { fill: var(--hue); fill-opacity: .2; }
.bars { fill: var(--hue); }
.points { fill: none; stroke: var(--hue); stroke-width: 4.5; stroke-linecap: round; stroke-opacity: .55; }
.reference { fill: none; stroke: var(--soft); stroke-dasharray: 5 4; }
svg line.mark { stroke: var(--bad); stroke-width: 2; stroke-dasharray: 4 3; }
svg .mark-name { fill: var(--bad); }
.cursor { stroke: var(--soft); stroke-dasharray: 3 3; }
.off { display: none; }
#tip { position: fixed; z-index: 1; pointer-events: none; background: var(--text); color: var(--page); border-radius: 6px; padding: 6px 10px;
  font-size: 13px; line-height: 1.4; white-space: pre; font-variant-numeric: tabular-nums; }
#tip[hidden] { display: none; }
.state { color: var(--text); background: var(--card); border: 1px solid var(--line); border-left: 4px solid rgb(var(--link));
  border-radius: 8px; padding: 8px 12px; margin-top: 12px; max-width: none; overflow-wrap: anywhere; }
.state.bad { border-left-color: var(--bad); }
.scroll { overflow-x: auto; width: fit-content; min-width: min(420px, 100%); max-width: 100%; margin-top: 12px; }
.scroll:has(.wide, .predictions) { width: auto; }
.scroll + p, .scroll + .charts { margin-top: 12px; }
table { width: 100%; border-collapse: collapse; font-size: 15px; }
caption { text-align: left; padding: 8px 12px; color: var(--soft); font-size: 14px; }
td, th { padding: 6px 12px; text-align: left; font-weight: normal; vertical-align: top; border-top: 1px solid var(--line); }
thead th { color: var(--soft); font-size: 14px; vertical-align: bottom; }
tbody th { color: var(--text); }
tbody ul { margin: 4px 0 0; padding-left: 20px; font-size: 14px; color: var(--soft); }
tbody b { color: var(--text); font-weight: normal; }
.number td { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
.number thead th + th { text-align: right; }
.scroll:has(.predictions) { columns: 3 350px; column-gap: 0; }
.predictions thead, .predictions tr { break-inside: avoid; }
.predictions td, .predictions th { vertical-align: middle; }
.predictions caption { position: absolute; width: 1px; height: 1px; padding: 0; overflow: hidden; clip-path: inset(50%);
  white-space: nowrap; }
td img, th img { width: 56px; height: 56px; object-fit: contain; image-rendering: pixelated; border-radius: 4px; display: block; }
.wrong { color: var(--bad); }
.right { color: var(--good); }
.small { font-size: 14px; color: var(--soft); }
.soft { color: var(--soft); }
.filter { display: none; gap: 6px; flex-wrap: wrap; }
.js .filter { display: flex; }
.filter button { font: inherit; font-size: 14px; padding: 4px 12px; border: 1px solid var(--line); border-radius: 6px; background: var(--card);
  color: var(--text); }
.filter button[aria-pressed=true] { border-color: var(--c0); box-shadow: inset 0 0 0 1px var(--c0); }
.confusion { font-size: 14px; }
.confusion td, .confusion th { padding: 4px 6px; white-space: nowrap; }
.confusion td { text-align: right; font-variant-numeric: tabular-nums; background: rgba(var(--link), calc(var(--share) * var(--strength)));
  min-width: 34px; }
.confusion thead th { text-align: right; }
.confusion thead td { background: none; }
.confusion.named thead th { vertical-align: bottom; }
.confusion.named thead th span { display: inline-block; writing-mode: vertical-rl; transform: rotate(180deg); max-height: 160px;
  overflow: hidden; text-overflow: ellipsis; }
.confusion tbody th { overflow-wrap: anywhere; }
.confusion .diagonal { font-weight: 700; }
.graphs { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(330px, 100%), 1fr)); gap: 12px; align-items: start; }
.graphs svg { max-width: 380px; margin: 8px auto 0; }
.box rect { fill: var(--card); stroke: var(--hue); stroke-width: 1.5; }
.box .mark { fill: var(--hue); stroke: none; }
.box .name { fill: var(--text); font-weight: 600; }
.edge { fill: none; stroke: var(--soft); stroke-width: 1.5; }
.head { fill: var(--soft); }
.drawing .key { border: none; padding: 0 8px 0 0; }
.drawing .key i { height: 12px; width: 6px; }
details { padding: 8px 12px; margin-top: 12px; }
summary { cursor: pointer; font-weight: 600; overflow-wrap: anywhere; }
details > * + * { margin-top: 12px; }
details pre { border: none; padding: 0; }
td details, figure details, details details { border: none; padding: 0; background: none; }
td details { margin-top: 4px; }
td summary, figure summary { font-weight: normal; font-size: 14px; color: var(--soft); }
pre { padding: 12px; overflow-x: auto; font-size: 13px; margin: 12px 0 0; }
.swatch { display: inline-block; margin-right: 8px; vertical-align: middle; }
@media (max-width: 520px) {
  main { padding: 16px 12px 40px; }
  td, th { padding: 6px 8px; }
  .number td, .number th { padding: 6px 5px 6px 6px; }
  table { font-size: 14px; }
  .confusion { font-size: 12px; }
  .confusion td, .confusion th { padding: 4px 2px; min-width: 24px; }
  .confusion tbody th { white-space: normal; padding-left: 6px; }
  td img, th img { width: 44px; height: 44px; }
}
@media (min-width: 821px) {
  .wide tbody th:has(+ td:last-child) { width: 26%; }
}
@media (max-width: 820px) {
  .scroll:has(.stack) { width: auto; }
  .wide td { overflow-wrap: anywhere; }
  .stack, .stack caption, .stack tbody, .stack tr, .stack th, .stack td { display: block; }
  .stack thead { display: none; }
  .stack tr { border-top: 1px solid var(--line); padding: 6px 0; }
  .stack th, .stack td { border: none; padding: 2px 10px; }
  .stack tbody th { font-weight: 600; overflow-wrap: anywhere; }
  .stack th .small { font-weight: normal; }
  .number.stack tr { display: grid; grid-template-columns: repeat(auto-fill, minmax(150px, 1fr)); }
  .number.stack tbody th { grid-column: 1 / -1; }
  .number.stack td { text-align: left; white-space: normal; }
  .stack td:nth-child(n + 3)::before, .stack td:not(:last-child)::before { content: attr(data-title) ": "; color: var(--soft); }
}
@media print {
  :root { color-scheme: light; --page: #ffffff; }
  nav, .js .filter { display: none; }
  figure, tr, .card { break-inside: avoid; }
  h2, h3 { break-after: avoid; }
  body { font-size: 13px; print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
)";

}  // namespace bnc
