"""Streaming: sums that are written past the caches, for results so large that nothing of them would stay there anyway.

An ordinary store first reads the line that it writes; these do not, so a sum of two arrays moves 3 bytes instead of 4.  They
become visible to others at a fence: who publishes the result must run one first.
"""

import functools

from nbgrad.jit import llvm, machine, store

UNIT = 32  # elements; also the alignment of the result in bytes
LANES = 8
KINDS = {"float32": "float", "float64": "double"}


def text(symbol: str, kind: str) -> str:
    """LLVM text of f(out, a, b, n, ...): out = a + b for n elements, a multiple of UNIT, `out` at a multiple of UNIT bytes."""
    body = []
    for k in range(UNIT // LANES):
        body += [
            f"  %i{k} = add i64 %i, {LANES * k}",
            *[f"  %p{x}{k} = getelementptr {kind}, ptr %{x}, i64 %i{k}" for x in "oab"],
            *[
                f"  %v{x}{k} = load <{LANES} x {kind}>, ptr %p{x}{k}, align {4 if kind == 'float' else 8}"
                for x in "ab"
            ],
            f"  %s{k} = fadd <{LANES} x {kind}> %va{k}, %vb{k}",
            f"  store <{LANES} x {kind}> %s{k}, ptr %po{k}, align {UNIT}, !nontemporal !0",
        ]
    lines = [
        f'define i64 @"{symbol}"(i64 %a0, i64 %a1, i64 %a2, i64 %n, i64 %a4, i64 %a5, i64 %a6, i64 %a7) {{',
        "entry:",
        *[f"  %{x} = inttoptr i64 %a{k} to ptr" for k, x in enumerate("oab")],
        "  %has = icmp sgt i64 %n, 0",
        "  br i1 %has, label %loop, label %done",
        "loop:",
        "  %i = phi i64 [0, %entry], [%next, %loop]",
        *body,
        f"  %next = add i64 %i, {UNIT}",
        "  %more = icmp slt i64 %next, %n",
        "  br i1 %more, label %loop, label %done",
        "done:",
        "  ret i64 0",
        "}",
        "!0 = !{i32 1}",
    ]
    return "\n".join(lines)


@functools.cache
def sum_address(dtype: str) -> int:
    """Where that function starts, for arrays of a dtype (a NumPy name); 0: there is none for it.

    Compiled by LLVM in milliseconds, and kept in the object cache.
    """
    if dtype not in KINDS:
        return 0
    symbol = f"stream.{dtype}"

    def compiled() -> bytes:
        return machine.emit(llvm.parse_assembly(text(symbol, KINDS[dtype])), {symbol})

    return machine.load_object(store.load_or_make(f"{symbol}-1", compiled), symbol)
