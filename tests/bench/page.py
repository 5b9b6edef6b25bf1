# SPDX-License-Identifier: Apache-2.0
"""build/bench/index.html: one file, to be looked at anywhere."""
import base64
import html

import plot
import report
from figures import FIGURES

STYLE = """
body { font: 15px/1.5 sans-serif; color: #222; background: #fff; max-width: 70em; margin: 2em auto; padding: 0 1em }
h2 { margin-top: 2em; border-bottom: 1px solid #ddd } img { max-width: 100%; display: block; margin: 1em 0 }
table { border-collapse: collapse } td, th { text-align: left; padding: .2em .9em .2em 0; vertical-align: top }
td + td { font-variant-numeric: tabular-nums } tr + tr { border-top: 1px solid #eee }
.PASS { color: #0f7b6c } .OVER, .missing, .bad { color: #c4320a; font-weight: bold } .small { color: #666; font-size: 13px }
"""
# Enough runs to be more than a bar.
RUNS_FOR_DISTRIBUTION = 20


def picture(svg, what):
    data = base64.b64encode(svg.encode()).decode()
    return '<img alt="%s" src="data:image/svg+xml;base64,%s">' % (html.escape(what), data)


def table(lines):
    head, *body = lines
    out = ["<table><tr>" + "".join("<th>%s</th>" % html.escape(word) for word in head) + "</tr>"]
    for line in body:
        out.append("<tr>" + "".join('<td class="%s">%s</td>' % (html.escape(word) if word in ("PASS", "OVER", "unclear", "missing")
                                                              else "", html.escape(word)) for word in line) + "</tr>")
    return "\n".join(out) + "</table>"


def clocks(rows):
    """What is measured, figures of the same clock together."""
    by_clock = {}
    for row in rows:
        by_clock.setdefault(row.figure.clock, []).append(row.figure.title)
    return '<dl class="small">' + "\n".join(
        "<dt>%s</dt><dd>%s</dd>" % (html.escape(", ".join(dict.fromkeys(titles))), html.escape(clock))
        for clock, titles in by_clock.items()) + "</dl>"


def section(results, part):
    found = results["parts"][part]
    out = ["<h2>%s</h2>" % part]
    if "failed" in found:
        out.append('<p class="bad">%s</p>' % html.escape(found["failed"]))
    for name, why in {**found["absent"], **found.get("unable", {})}.items():
        out.append('<p class="small">not measured: %s: %s</p>' % (html.escape(name), html.escape(why)))
    if not found["values"]:
        return "\n".join(out)
    out.append('<p class="small">%s</p>' % html.escape(report.where(results, part)))
    out.append(table(report.table(results, part)))
    rows = [row for row in report.rows(results, part) if row.values]
    names = report.launchers(results, part)
    for title, timelines in found.get("waterfalls", {}).items():
        out.append("<h3>%s</h3>" % html.escape(title))
        out.append(picture(plot.waterfall(timelines), "waterfall: " + title))
    if len(names) > 1:
        out.append(picture(plot.bars(rows, names), "medians: " + part))
    for row in rows:
        if min(len(values) for values in row.values.values()) >= RUNS_FOR_DISTRIBUTION:
            out.append(picture(plot.distribution(row, names), "distribution: " + row.figure.title))
    out.append("<p>Where each clock starts and stops:</p>" + clocks(rows))
    return "\n".join(out)


def write(results, path):
    parts = [part for part in FIGURES if part in results["parts"]]
    with open(path, "w") as file:
        file.write("<!doctype html><html lang=en><meta charset=utf-8><title>husk: measured</title><style>%s</style>"
                   "<h1>husk: measured</h1><p>Medians, and in brackets the 10th and 90th of 100 (of less than ten "
                   "runs, the least and the greatest). <code>make bench</code> repeats all of it; the numbers behind "
                   "it are in results.json.</p>\n%s</html>\n" %
                   (STYLE, "\n".join(section(results, part) for part in parts)))
