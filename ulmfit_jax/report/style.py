"""The style sheet of the page: light and dark, from a telephone to a wide screen, and on paper.

Blue and orange, from the palette of Okabe and Ito (2008), differ for all kinds of colour vision.
"""

STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --card: #f4f6f8; --ink: #1a1f26; --faint: #55606c; --rule: #d3d9df;
  --a: #0072b2; --b: #c85200; --band: #eef1f4; }
@media (prefers-color-scheme: dark) {
  :root { --paper: #14181c; --card: #1d2329; --ink: #e7eaed; --faint: #a6b0ba; --rule: #38414a;
    --a: #56b4e9; --b: #e69f00; --band: #1b2127; }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body { margin: 0; background: var(--paper); color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
main, header, nav, footer { max-width: 75rem; margin: 0 auto; padding: 0 1rem; overflow-wrap: anywhere; }
header { padding-top: 1.5rem; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .75rem; padding-top: .75rem; border-top: 1px solid var(--rule); }
h3 { font-size: 1rem; margin: 1.25rem 0 .4rem; }
p { margin: .5rem 0; max-width: 48rem; }
a { color: var(--a); }
nav ul { display: flex; flex-wrap: wrap; gap: .15rem 1rem; margin: .75rem 0; padding: 0; list-style: none; }
.note, caption, figcaption { color: var(--faint); font-size: .875rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 10rem), 1fr)); gap: .75rem;
  margin: 1rem 0; }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: .5rem; padding: .75rem 1rem; }
.card h3 { margin: 0; font-size: .9rem; font-weight: 600; }
.figure { font-size: 2rem; line-height: 1.2; font-weight: 650; margin: .15rem 0; font-variant-numeric: tabular-nums; }
.remarks { border-left: .3rem solid var(--b); padding: .1rem 0 .1rem 1rem; margin: 1rem 0; }
.remarks h3 { margin-top: .25rem; }
.remarks ul { margin: 0; padding-left: 1.1rem; }
.scroll { overflow-x: auto; max-width: 100%; margin: .75rem 0; --shade: color-mix(in srgb, var(--ink) 30%, transparent);
  background: linear-gradient(to right, var(--paper) 40%, transparent) left / 3rem 100% no-repeat local,
    linear-gradient(to left, var(--paper) 40%, transparent) right / 3rem 100% no-repeat local,
    linear-gradient(to right, var(--shade), transparent) left / .8rem 100% no-repeat,
    linear-gradient(to left, var(--shade), transparent) right / .8rem 100% no-repeat; }
.scroll:focus-visible, summary:focus-visible, a:focus-visible { outline: 2px solid var(--a); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
table.small { width: auto; min-width: min(100%, 26rem); }
caption { text-align: left; padding-bottom: .35rem; }
caption span { display: block; max-width: min(100%, calc(100vw - 2rem)); }
th, td { text-align: right; padding: .3rem .6rem; border-bottom: 1px solid var(--rule); vertical-align: top;
  white-space: nowrap; }
th { font-weight: 600; }
thead th { color: var(--faint); font-size: .85rem; vertical-align: bottom; white-space: normal; }
tbody th, thead th:first-child, .facts td { text-align: left; }
tbody th { min-width: 8rem; max-width: 20rem; font-weight: 500; white-space: normal; overflow-wrap: anywhere; }
.facts th { width: 9rem; }
.facts td { white-space: normal; overflow-wrap: anywhere; }
.facts thead { display: none; }
td.name { min-width: 6rem; text-align: left; white-space: normal; overflow-wrap: anywhere; }
.pairs thead th:nth-child(2) { text-align: left; }
.barred { min-width: 6rem; }
.bar { display: block; height: .35rem; border-radius: .2rem; background: var(--a); margin-top: .2rem; min-width: 1px; }
.bar.b { background: var(--b); }
.bar.c { background: var(--faint); }
.matrix { width: auto; }
.matrix td, .matrix thead th { min-width: 5.5rem; max-width: 9rem; text-align: center; }
.matrix thead th { overflow-wrap: anywhere; }
.heat span { display: block; }
.heat .note { color: inherit; }
.heat.right { background: color-mix(in srgb, var(--a) calc(var(--share) * 45%), transparent); }
.heat.wrong { background: color-mix(in srgb, var(--b) calc(var(--share) * 45%), transparent); }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 21rem), 1fr)); gap: 1rem 2rem; }
figure { margin: .5rem 0; max-width: 34rem; }
figcaption { font-weight: 600; color: var(--ink); }
svg { display: block; width: 100%; height: auto; overflow: visible; }
svg text { fill: var(--faint); font: 11px system-ui, sans-serif; }
svg .title { fill: var(--ink); }
.grid { stroke: var(--rule); stroke-width: .7; }
.axis { stroke: var(--faint); }
.line { fill: none; stroke-width: 2; stroke-linejoin: round; }
.line.a, .whisker.a { stroke: var(--a); }
.line.b { stroke: var(--b); stroke-dasharray: 5 4; }
.whisker { stroke-width: 1.5; opacity: .65; }
.fill.a { fill: var(--a); }
.fill.b { fill: var(--b); }
.stage { fill: none; }
.stage.odd { fill: var(--band); }
.key { list-style: none; margin: .25rem 0 0; padding: 0; display: flex; flex-wrap: wrap; gap: .1rem 1.25rem;
  font-size: .875rem; }
.key svg { display: inline-block; width: 1.5rem; height: .75rem; vertical-align: baseline; }
.mistakes { padding-left: 1.5rem; }
.mistakes > li { margin-bottom: 1.25rem; }
.mistakes h3 { font-weight: 500; margin: 0; }
.text { background: var(--card); border: 1px solid var(--rule); border-radius: .35rem; padding: .5rem .75rem;
  max-width: none; white-space: pre-line; line-height: 1.75; }
.for, .against { border-radius: .2rem; padding: .05rem .15rem; }
.for { background: color-mix(in srgb, var(--a) calc(var(--share) * 50%), transparent); }
.against { background: color-mix(in srgb, var(--b) calc(var(--share) * 50%), transparent);
  text-decoration: underline dotted; text-underline-offset: .2em; }
pre { background: var(--card); border: 1px solid var(--rule); border-radius: .35rem; padding: .5rem .75rem;
  white-space: pre-wrap; overflow-wrap: anywhere; font-size: .875rem; }
summary { cursor: pointer; color: var(--a); width: fit-content; }
footer { margin-top: 2.5rem; padding-bottom: 2rem; }
@media (max-width: 40rem) {
  th, td { padding: .3rem .4rem; font-size: .875rem; }
  tbody th { min-width: 6.5rem; }
  .barred { min-width: 4rem; }
}
@media print { nav { display: none; } section { break-inside: avoid-page; } }
"""
