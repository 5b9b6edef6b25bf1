# SPDX-License-Identifier: Apache-2.0
"""The pictures, as SVG text."""
import io
import textwrap

import matplotlib

import report

matplotlib.use("svg")
matplotlib.rcParams.update({
    "svg.fonttype": "none", "svg.hashsalt": "husk", "font.family": "sans-serif", "font.size": 9,
    "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": "#777777",
    "axes.titlesize": 9, "axes.titlelocation": "left", "xtick.color": "#444444", "ytick.color": "#444444",
})
from matplotlib import pyplot  # noqa: E402

COLORS = ["#0b6e99", "#d9730d", "#6940a5", "#0f7b6c", "#ad1a72"]


def svg(figure):
    out = io.StringIO()
    figure.savefig(out, format="svg", bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
    return out.getvalue()


def waterfall(timelines):
    """Of several runs the one whose length is the median: what took how long, and when."""
    timeline = sorted(timelines, key=lambda marks: marks[-1]["at_us"])[len(timelines) // 2]
    figure, axes = pyplot.subplots(figsize=(9, 0.8 + 0.24 * len(timeline)))
    steps = list(zip(timeline, timeline[1:]))
    total = timeline[-1]["at_us"]
    for y, (before, mark) in enumerate(steps):
        start, end = before["at_us"] / 1000, mark["at_us"] / 1000
        axes.barh(y, end - start, left=start, color=COLORS[0], height=0.7)
        late = end * 1000 > 0.7 * total
        axes.annotate(report.number(end - start) + " ms", (start if late else end, y),
                      xytext=(-4 if late else 4, 0), textcoords="offset points", va="center",
                      ha="right" if late else "left", color="#444444", fontsize=8)
    axes.set_yticks(range(len(steps)), [mark["step"] for _, mark in steps])
    axes.tick_params(axis="y", length=0)
    axes.invert_yaxis()
    axes.set_xlabel("ms after " + timeline[0]["step"])
    return svg(figure)


def bars(rows, names):
    """A panel for each figure: medians, with the spread as a line."""
    across = 3
    down = -(-len(rows) // across)
    figure, panels = pyplot.subplots(down, across, sharey=True, squeeze=False,
                                     figsize=(9, down * (0.9 + 0.24 * len(names))))
    for panel in panels.flat[len(rows):]:
        panel.set_axis_off()
    for panel, row in zip(panels.flat, rows):
        for y, name in enumerate(names):
            if name not in row.values:
                continue
            middle = row.medians[name]
            low, high = report.spread(row.values[name])
            panel.barh(y, middle, color=COLORS[y % len(COLORS)], height=0.65)
            panel.plot([low, high], [y, y], color="#222222", linewidth=1)
            panel.annotate(report.number(middle), (max(middle, high), y), xytext=(3, 0),
                           textcoords="offset points", va="center", fontsize=8)
        panel.set_title(title(row.figure), fontsize=8)
        panel.set_yticks(range(len(names)), names)
        panel.tick_params(axis="y", length=0)
        panel.set_xlim(0, 1.25 * max(max(found) for found in row.values.values()) or 1)
        panel.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(3))
    panels.flat[0].invert_yaxis()
    figure.tight_layout()
    return svg(figure)


def title(figure):
    words = "%s, %s%s" % (figure.title, figure.unit, " (more is better)" if figure.more_is_better else "")
    return textwrap.fill(words, 40)


def distribution(row, names):
    """For each time, how many of 100 runs were done by then."""
    figure, axes = pyplot.subplots(figsize=(7.6, 2.4))
    for i, name in enumerate(names):
        found = sorted(row.values.get(name, []))
        if found:
            shares = [100 * (k + 1) / len(found) for k in range(len(found))]
            axes.step(found, shares, where="post", color=COLORS[i % len(COLORS)],
                      label="%s, %d runs" % (name, len(found)))
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda x, _: "%g" % x))
    axes.xaxis.set_minor_formatter(matplotlib.ticker.NullFormatter())
    axes.set_xlabel(row.figure.unit)
    axes.set_ylabel("% of runs")
    axes.set_ylim(0, 100)
    axes.set_title(row.figure.title)
    axes.grid(axis="both", color="#dddddd", linewidth=0.5)
    axes.legend(frameon=False, loc="upper left", bbox_to_anchor=(1, 1))
    return svg(figure)
