# SPDX-License-Identifier: Apache-2.0
"""What results.json says, in rows: for the terminal, the page and the documentation."""
import statistics
from dataclasses import replace

from figures import FIGURES, OPEN, QEMU

HUSK = "husk"


def spread(values):
    """(10th of 100, 90th of 100); of few values the least and the greatest."""
    if len(values) < 10:
        return min(values), max(values)
    deciles = statistics.quantiles(values, n=10)
    return deciles[0], deciles[8]


def number(value):
    """With three digits that count, and never in powers of ten."""
    if value == 0 or abs(value) >= 100:
        return "%.0f" % value
    return "%.*f" % (2 if abs(value) < 10 else 1, value)


class Row:
    """One figure with its values, by launcher."""

    def __init__(self, figure, values):
        self.figure = figure
        self.values = values
        self.medians = {name: statistics.median(found) for name, found in values.items()}

    def times_better(self, peer):
        """How many times husk is better than the peer; None where one of them is missing."""
        husk, other = self.medians.get(HUSK), self.medians.get(peer)
        if husk is None or other is None or not (husk and other):
            return None
        return husk / other if self.figure.more_is_better else other / husk

    def promise(self):
        """In words; empty where there is none."""
        words = []
        if self.figure.limit is not None:
            words.append("at most " + number(self.figure.limit))
        if self.figure.ratio is not None:
            words.append("%g x %s" % (self.figure.ratio, QEMU))
        return ", ".join(words)

    def verdict(self):
        """
        PASS or OVER; "unclear" where the spread is too wide to tell; "missing" where what was promised was
        not measured; empty where nothing was.
        """
        if not self.promise():
            return ""
        if HUSK not in self.medians:
            return "missing"
        if self.figure.limit is not None and self.medians[HUSK] > self.figure.limit:
            return "OVER"
        if self.figure.ratio is not None:
            times = self.times_better(QEMU)
            if times is None:
                return "missing"
            if times < self.figure.ratio:
                return "unclear" if self.best_case() >= self.figure.ratio else "OVER"
        return "PASS"

    def best_case(self):
        """How many times better than QEMU husk is, if each was at its end of the spread that suits husk."""
        husk, other = spread(self.values[HUSK]), spread(self.values[QEMU])
        return husk[1] / other[0] if self.figure.more_is_better else other[1] / husk[0]


def rows(results, part):
    """Of a part; those without a value too, where there is a promise."""
    values = results["parts"].get(part, {}).get("values", {})
    known = {figure.id for figure in FIGURES[part]}
    figures = FIGURES[part] + [replace(OPEN[part], id=name, title=name) for name in values if name not in known]
    found = [Row(figure, values.get(figure.id, {})) for figure in figures]
    return [row for row in found if row.values or row.promise()]


def cell(row, name):
    if name not in row.values:
        return "-"
    low, high = spread(row.values[name])
    middle = row.medians[name]
    if low == high:
        return number(middle)
    return "%s (%s to %s)" % (number(middle), number(low), number(high))


def launchers(results, part):
    """husk first, then those that were measured."""
    found = {name for values in results["parts"][part]["values"].values() for name in values}
    return sorted(found, key=lambda name: (name != HUSK, name))


def table(results, part):
    """[[cell]] with a heading."""
    names = launchers(results, part)
    peers = [name for name in names if name != HUSK]
    heading = ["figure", "unit"] + names + ["better than " + name for name in peers] + ["promised", ""]
    lines = [heading]
    for row in rows(results, part):
        times = [row.times_better(name) for name in peers]
        lines.append([row.figure.title, row.figure.unit] + [cell(row, name) for name in names] +
                     ["%.2f x" % value if value else "-" for value in times] +
                     [row.promise(), row.verdict()])
    # A column that says nothing is left out.
    keep = [i for i in range(len(heading)) if i < 3 or any(line[i] not in ("", "-") for line in lines[1:])]
    return [[line[i] for i in keep] for line in lines]


def text(results, part):
    lines = table(results, part)
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    return "\n".join("  ".join(word.ljust(width) for word, width in zip(line, widths)).rstrip()
                     for line in lines)


def where(results, part):
    """The machine and the launchers of a part, in one sentence."""
    found = results["parts"][part]
    place = found["place"]
    kind = {"virtual": "on the rig, in virtual time", "counted": "on the rig, instructions counted"}.get(
        found["where"], "on the rig" if "QEMU TCG" in place["cpu"] else "natively")
    return "%s: %s, %d CPU%s, Linux %s, %s; %s; %s" % (
        kind, place["cpu"], place["cpus"], "s" * (place["cpus"] > 1), place["kernel"], place["kvm"],
        ", ".join(found["versions"][name] for name in launchers(results, part)), found["date"])
