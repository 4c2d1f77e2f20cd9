# SPDX-License-Identifier: MIT
"""The ring's figures, as tables that paste into docs/figures.md."""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

AGREE = 0.05  # two runs' ratios of ring to floor


def lines(program, what):
    output = subprocess.run([program, what], check=True, stdout=subprocess.PIPE).stdout.decode()
    return [line.split() for line in output.splitlines()]


def times(program):
    """{(payload, burst): (floor, next, peek, signals)}"""
    return {(int(p), int(b)): tuple(float(x) for x in rest) for _, p, b, *rest in lines(program, "time")}


def counts(program):
    """{(kind, payload, burst): instructions a packet}, by callgrind: the same in every run."""
    if shutil.which("valgrind") is None:
        raise RuntimeError("valgrind is not there to count instructions; run 'make deps'")
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run(["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder}/out", program, "count"], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for name in glob.glob(folder + "/out.*"):
            with open(name) as dump:
                text = dump.read()
            trigger = re.search(r"Client Request: ([\w-]+) (\d+) (\d+) (\d+)", text)
            total = re.search(r"^(?:summary|totals): (\d+)", text, re.M)
            if trigger and total:
                kind, payload, burst, packets = trigger.groups()
                found[kind, int(payload), int(burst)] = int(total.group(1)) / int(packets)
    return found


def link_as_in_image(name, build, sources, rest=()):
    """The same bench over the image's own objects of these sources; the rest of what it is linked with stays as it is."""
    result = os.path.join(build, "bench", name + "_as_in_image")
    bench = os.path.join(build, "bench", "tests", "bench", name + ".o")
    objects = [os.path.join(build, "x86_64", source[:-2] + ".o") for source in sorted(sources)]
    subprocess.run(["gcc", "-no-pie", "-pthread", "-o", result, bench, *objects, *(os.path.join(build, "bench", file) for file in rest)],
                   check=True)
    return result


def report(program, build):
    first, second = times(program), times(program)
    count = counts(program)
    unsteady = []

    print("\n### Ring: a packet sent and received, above the floor of two memcpys\n")
    print("One thread; ring of 64 KiB or what a burst needs; floor: one memcpy in, one out, at the same places, in the same run.")
    print("ns: tenth percentile of 61 turns of each, taken in turn. Instructions: callgrind, the same in every run. gcc -O2, glibc's memcpy.\n")
    print("| P, bytes | B | ns | floor | **above** | instructions | floor | **above** | signals per 1000 |")
    print("|--:|--:|--:|--:|--:|--:|--:|--:|--:|")
    for (payload, burst), (floor, ring, _, signals) in first.items():
        ratio, again = ring / floor, second[payload, burst][1] / second[payload, burst][0]
        mark = ""
        if abs(ratio / again - 1) > AGREE:
            unsteady.append(f"P={payload} B={burst}: {ratio:.2f} and {again:.2f} times the floor")
            mark = " *"
        with_ring, without = count["next", payload, burst], count["floor", payload, burst]
        print(f"| {payload} | {burst} | {ring:.1f} | {floor:.1f} | **{ring - floor:.1f}**{mark} | {with_ring:.0f} | {without:.0f} | "
              f"**{with_ring - without:.0f}** | {signals:.0f} |")
    print("\nFrom some size on glibc copies with one string instruction, which callgrind counts by its steps: at 16384 bytes the difference of")
    print("instructions says nothing.")
    if unsteady:
        print("\n\\* Two runs did not agree within 5 %: " + "; ".join(unsteady) + ".")
    else:
        print("\nTwo runs agreed within 5 % in each line.")

    image = times(link_as_in_image("ring_bench", build, glob.glob("vmbus/ring_*.c")))
    print("\nIn bursts of 8, received in one step, as KMCL does, or by peek and take; and both with the ring as it is in the image (-Os, general")
    print("registers, memcpy as `rep movs` above 512 bytes); ns and instructions above the floor:\n")
    print("| P, bytes | next, ns | peek and take, ns | next, instructions | peek and take, instructions | image: next, ns | image: peek and take, ns |")
    print("|--:|--:|--:|--:|--:|--:|--:|")
    for (payload, burst), (floor, ring, peek, _) in first.items():
        if burst != 8:
            continue
        base = count["floor", payload, burst]
        image_floor, image_ring, image_peek, _ = image[payload, burst]
        print(f"| {payload} | {ring - floor:.1f} | {peek - floor:.1f} | {count['next', payload, burst] - base:.0f} | "
              f"{count['peek', payload, burst] - base:.0f} | {image_ring - image_floor:.1f} | {image_peek - image_floor:.1f} |")

    if (os.cpu_count() or 1) < 2:
        print("\nTwo threads: not measured, this machine has one processor.")
        return
    _, ring, floor, data, room = lines(program, "threads")[0]
    print("\nTwo threads on two processors, 1500 bytes, ring of 256 KiB, flushes of 8, each end asleep until it is signalled; beside it the")
    print("same copies handed over by one polled counter each way, as quick as the bytes travel between these processors:\n")
    print("| Mpackets/s, median of 7 | without a ring | ratio | signals per 1000 packets: new data | freed room |")
    print("|--:|--:|--:|--:|--:|")
    print(f"| {ring} | {floor} | {float(ring) / float(floor):.2f} | {data} | {room} |")
    sys.stdout.flush()
