# SPDX-License-Identifier: MIT
"""KMCL's figures above the bare ring, as tables that paste into docs/figures.md."""
import glob
import sys

import ring_bench

AGREE = 0.05  # two runs' ratios of KMCL to the ring
RATIO, INSTRUCTIONS, FLAT = 1.3, 150, 0.10  # what is aimed at


def times(program):
    """{(traffic, payload, burst): (bare, client, both)} and {channels: (one, all)}"""
    sizes, sweep = {}, {}
    for word, *rest in ring_bench.lines(program, "time"):
        if word == "time":
            sizes[rest[0], int(rest[1]), int(rest[2])] = tuple(float(x) for x in rest[3:])
        else:
            sweep[int(rest[0])] = tuple(float(x) for x in rest[1:])
    return sizes, sweep


def print_traffic(traffic, each, first, second, count):
    """`each`: of what a pair of packets there and back is made, that the table is about."""
    unsteady = []
    print("| P, bytes | B | bare ring, ns | KMCL, ns | **ratio** | bare ring, instructions | KMCL | **above** | client alone above |")
    print("|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    for (name, payload, burst), (bare, _, both) in first.items():
        if name != traffic:
            continue
        ratio, again = both / bare, second[name, payload, burst][2] / second[name, payload, burst][0]
        mark = ""
        if abs(ratio / again - 1) > AGREE:
            unsteady.append(f"P={payload} B={burst}: {ratio:.2f} and {again:.2f}")
            mark = " *"
        ring, client, kmcl = (count[f"{traffic}-{kind}", payload, burst] for kind in ("bare", "client", "both"))
        print(f"| {payload} | {burst} | {bare / each:.1f} | {both / each:.1f} | **{ratio:.2f}**{mark} | {ring / each:.0f} | {kmcl / each:.0f} | "
              f"**{(kmcl - ring) / each:.0f}** | {client - ring:.0f} |")
    if unsteady:
        print("\n\\* The ratios of two runs: " + "; ".join(unsteady) + ".")


def print_image(build):
    """The product's part as it is in the image; bench and machine stay as they are."""
    sources = [f for folder in ("vmbus", "vmbus/kmcl", "vmbus/server", "vmbus/kmcl/server") for f in glob.glob(folder + "/*.c")]
    sources += ["kernel/irql.c", "kernel/lock.c", "kernel/work.c"]
    sources.remove("vmbus/start.c")
    program = ring_bench.link_as_in_image("kmcl_bench", build, sources, ("tests/unit/processors/machine.o", "libbarebus-bench.a"))
    (time, _), count = times(program), ring_bench.counts(program)
    print("\nA packet in bursts of 8, with the image's flags (-Os, general registers, memcpy as `rep movs` above 512 bytes):\n")
    print("| P, bytes | bare ring, ns | KMCL, ns | **ratio** | bare ring, instructions | KMCL | **above** |")
    print("|--:|--:|--:|--:|--:|--:|--:|")
    for (name, payload, burst), (bare, _, both) in time.items():
        if name == "packets" and burst == 8:
            ring, kmcl = (count[f"packets-{kind}", payload, burst] / 2 for kind in ("bare", "both"))
            print(f"| {payload} | {bare / 2:.1f} | {both / 2:.1f} | **{both / bare:.2f}** | {ring:.0f} | {kmcl:.0f} | **{kmcl - ring:.0f}** |")


def report(program, build):
    (first, sweep), (second, _) = times(program), times(program)
    count = ring_bench.counts(program)

    print("\n### KMCL: a packet sent, delivered and completed, above the bare ring\n")
    print("One thread is guest and host in turn; B packets of P bytes under way all the time; rings of 64 KiB or what a burst needs. Bare ring:")
    print("`vmbus/ring.h` as its head says, without bus and callbacks. KMCL: client and server, with all between them: signals, event flags, deferred")
    print("work. gcc -O2, glibc's memcpy; ns: tenth percentile of 31 turns of each kind, taken in turn; instructions: callgrind. Nothing on the path")
    print(f"allocates: asserted in each measurement. Aimed at: {RATIO} times the ring's time, {INSTRUCTIONS} instructions above it.\n")
    print("Packets: each end answers each packet from its callback. A packet is one send, one delivery, one completion; \"client alone\": with a server")
    print("of bare ring functions, for two packets, of which the client sends one and is given one:\n")
    print_traffic("packets", 2, first, second, count)
    print("\nRequests: a packet that wants a completion, the server's completion with P bytes, the client's completion routine; a round trip, so two")
    print("packets of the ring:\n")
    print_traffic("requests", 1, first, second, count)

    print_image(build)

    base = sweep[min(sweep)], {name: count[f"sweep-{name}", min(sweep), 1] for name in ("one", "all")}
    print("\nOf the same, 64 bytes in bursts of 8, as channels grow. Traffic on one of them: the layer's cost. On all of them in turn: beside that,")
    print("what each touches (rings of a page, control pages, both ends' objects: 30 KiB) has left the processor's caches when its turn comes again.\n")
    print("| Channels open | one: ns a packet | instructions | all: ns a packet | instructions |")
    print("|--:|--:|--:|--:|--:|")
    for channels, (one, everyone) in sweep.items():
        print(f"| {channels} | {one:.1f} | {count['sweep-one', channels, 1]:.0f} | {everyone:.1f} | {count['sweep-all', channels, channels]:.0f} |")
    spread = max(abs(one / base[0][0] - 1) for one, _ in sweep.values())
    spread_count = max(abs(count[f"sweep-{name}", channels, active] / base[1][name] - 1)
                       for channels in sweep for name, active in (("one", 1), ("all", channels)))
    print(f"\nFrom 1 to {max(sweep)} channels (aimed at: within {FLAT:.0%}): time with one busy channel within {spread:.0%}, instructions within "
          f"{spread_count:.0%} in both columns.")
    sys.stdout.flush()
