# SPDX-License-Identifier: Apache-2.0
"""Many VMs at once, and many one after the other."""
from vm import BUILD, Vm

WHERE = "here"
TIMES = 1
TOGETHER = 64
FOR_RATE = 40


def measure(bench):
    def start(words, count, at_once):
        """(ms to the first byte of those VMs that worked, ms until the last one ended)"""
        runs, _ = bench.stopwatch(words, count, at_once)
        return ([first for first, _, status, _ in runs if first >= 0 and not status],
                max(started + end for _, end, _, started in runs))

    def many(words):
        firsts, took = start(words, TOGETHER, TOGETHER)
        values = {"together_failed": TOGETHER - len(firsts), "together_first_byte": firsts,
                  "together_all": took}
        for at_once in (1, 2, 4):
            firsts, took = start(words, FOR_RATE, at_once)
            values["rate_%d" % at_once] = 1000 * len(firsts) / took
        return values

    bench.compare(Vm(bench.stage(BUILD + "/bench/instant")), many)
