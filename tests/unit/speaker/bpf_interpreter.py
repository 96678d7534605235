# SPDX-License-Identifier: MIT
"""Runs classic BPF programs as the kernel does: an oracle for the assembler."""

from speaker.wire import bpf


def run(program: bpf.Program, frame: bytes, *, pkttype: int = 0, vlan: bool = False) -> bool:
    """Return whether the program accepts the frame; a load beyond its end drops it."""
    ancillary = {bpf.PKTTYPE: pkttype, bpf.VLAN_TAG_PRESENT: int(vlan)}
    sizes = {bpf.LD_W_ABS: 4, bpf.LD_H_ABS: 2, bpf.LD_B_ABS: 1}
    accumulator, counter = 0, 0
    while True:
        code, jt, jf, k = program[counter]
        counter += 1
        match code:
            case bpf.LD_W_ABS | bpf.LD_H_ABS | bpf.LD_B_ABS:
                if k in ancillary:
                    accumulator = ancillary[k]
                elif k + sizes[code] > len(frame):
                    return False
                else:
                    accumulator = int.from_bytes(frame[k : k + sizes[code]])
            case bpf.AND_K:
                accumulator &= k
            case bpf.JA:
                counter += k
            case bpf.JEQ_K:
                counter += jt if accumulator == k else jf
            case bpf.JGT_K:
                counter += jt if accumulator > k else jf
            case bpf.JGE_K:
                counter += jt if accumulator >= k else jf
            case bpf.RET_K:
                return k > 0
            case _:
                raise AssertionError(f"the kernel knows no instruction {code:#x}")
