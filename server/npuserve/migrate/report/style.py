"""How the page looks: on a light or dark screen, and always dark on light on paper."""

_LIGHT = """--paper:#fff;--ink:#1d2127;--soft:#5a6472;--rule:#d9dee5;--panel:#f5f7f9;--good:#12733f;--bad:#b3261e;
--good-paper:#e4f4ea;--bad-paper:#fce8e6;--s0:#2166c4;--s1:#d0591b;--s2:#11845b;--s3:#8a4fbf;--s4:#8d6b00;--s5:#b0306f;"""
_DARK = """--paper:#14171b;--ink:#e6e9ed;--soft:#a0a9b5;--rule:#343b44;--panel:#1d2228;--good:#62d394;--bad:#ff8a80;
--good-paper:#143324;--bad-paper:#431c1a;--s0:#6aa7f8;--s1:#f59a61;--s2:#4fc796;--s3:#c197ef;--s4:#d9b23c;--s5:#f087b8;"""

CHART_STYLE = """
svg text{font:12px system-ui,-apple-system,"Segoe UI","Noto Sans","Noto Sans CJK SC","Microsoft YaHei",sans-serif}
svg .tick{fill:var(--soft);font-size:11px}
svg .label{fill:var(--ink)}
svg .grid{stroke:var(--rule)}
svg .axis{stroke:var(--soft)}
svg .rule{stroke:var(--soft);stroke-dasharray:4 3}
svg .line{fill:none;stroke-width:2;stroke-linejoin:round}
svg .stem{stroke-width:2}
svg .bar{stroke:none}
.s0{stroke:var(--s0);fill:var(--s0)}
.s1{stroke:var(--s1);fill:var(--s1)}
.s2{stroke:var(--s2);fill:var(--s2)}
.s3{stroke:var(--s3);fill:var(--s3)}
.s4{stroke:var(--s4);fill:var(--s4)}
.s5{stroke:var(--s5);fill:var(--s5)}
svg g.bad{stroke:var(--bad);fill:var(--bad)}
svg .line.s1{stroke-dasharray:7 4}
svg .line.s2{stroke-dasharray:2 3}
svg .line.s3{stroke-dasharray:9 3 2 3}
svg .line.s4{stroke-dasharray:12 4}
svg .line.s5{stroke-dasharray:5 2}
svg rect.mark,svg circle.mark,svg path.mark{stroke:var(--paper);stroke-width:1}
"""

# Of a drawing that is a file by itself.
DRAWING_STYLE = f":root{{{_LIGHT}}}svg{{background:var(--paper)}}{CHART_STYLE}"

PAGE_STYLE = f"""
:root{{{_LIGHT}color-scheme:light dark}}
@media screen and (prefers-color-scheme:dark){{:root{{{_DARK}}}}}
*{{box-sizing:border-box}}
body{{margin:0 auto;max-width:60rem;padding:2rem 1.25rem 4rem;background:var(--paper);color:var(--ink);
font:15px/1.55 system-ui,-apple-system,"Segoe UI","Noto Sans","Noto Sans CJK SC","Microsoft YaHei",sans-serif}}
h1{{margin:0 0 .75rem;font-size:1.75rem;line-height:1.25;overflow-wrap:anywhere}}
h2{{margin:2.5rem 0 .75rem;padding-bottom:.3rem;border-bottom:1px solid var(--rule);font-size:1.25rem}}
p{{margin:.5rem 0;overflow-wrap:anywhere}}
ul{{margin:.4rem 0;padding-left:1.3rem}}
li{{overflow-wrap:anywhere}}
.verdict{{display:inline-block;margin:0 0 1rem;padding:.25rem .8rem;border-radius:.4rem;font-weight:600}}
.verdict.good,td.good{{color:var(--good)}}
.verdict.bad,td.bad,p.bad{{color:var(--bad)}}
.verdict.good{{background:var(--good-paper)}}
.verdict.bad{{background:var(--bad-paper)}}
.verdict.open{{background:var(--panel);color:var(--soft)}}
p.bad{{white-space:pre-line}}
td.open,p.open{{color:var(--soft)}}
td.good,td.bad{{font-weight:600}}
dl{{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:0}}
dt{{color:var(--soft)}}
dd{{margin:0;overflow-wrap:anywhere}}
.caption{{margin:1.1rem 0 .35rem;font-weight:600}}
.wide{{overflow-x:auto}}
table{{min-width:60%;border-collapse:collapse;font-size:.92em}}
th,td{{padding:.35rem .6rem;border-bottom:1px solid var(--rule);text-align:left;vertical-align:top}}
th{{background:var(--panel);font-weight:600}}
td.short{{white-space:nowrap}}
td.long{{overflow-wrap:anywhere}}
td.number,th.number{{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap;overflow-wrap:normal}}
pre{{margin:.4rem 0;padding:.7rem .9rem;border:1px solid var(--rule);border-radius:.4rem;background:var(--panel);
font:12.5px/1.5 ui-monospace,"Cascadia Mono",Menlo,Consolas,monospace;white-space:pre-wrap;overflow-wrap:anywhere}}
figure{{margin:1.2rem 0}}
figure svg{{display:block;width:100%;height:auto}}
figcaption{{margin-top:.3rem;color:var(--soft);font-size:.92em}}
{CHART_STYLE}
svg polyline.line{{fill:none}}
@media print{{
@page{{size:A4;margin:16mm 14mm}}
body{{max-width:none;padding:0;font-size:10.5pt;-webkit-print-color-adjust:exact;print-color-adjust:exact}}
h2,h2+p{{break-after:avoid}}
.caption{{break-after:avoid}}
tr,figure,pre{{break-inside:avoid}}
thead{{display:table-header-group}}
.wide{{overflow:visible}}
table{{font-size:8.5pt}}
th,td{{padding:.25rem .4rem}}
}}
"""
