"""From a Python function to an object file, through Numba: the only place that imports it, with all its flags.

Numba's own disk cache is not used: it does not see edits in helper files, shares one entry between two flavours of a
function, and needs Numba itself to load.
"""

import contextlib
import types as python_types
from functools import cache
from types import SimpleNamespace

from nbgrad.jit import llvm, machine
from nbgrad.jit.primitive import Primitive

FAST = {
    "reassoc",
    "contract",
    "arcp",
    "nsz",
}  # never nnan or ninf: isnan and isinf must keep their meaning


@cache
def tools():
    """Numba's and llvmlite's names, imported when something must really be compiled (0.5 s)."""
    import numba
    from llvmlite import ir
    from numba.core import cgutils, compiler, registry, types
    from numba.core.cpu import FastMathOptions
    from numba.extending import intrinsic

    return SimpleNamespace(
        numba=numba,
        ir=ir,
        cgutils=cgutils,
        compiler=compiler,
        registry=registry,
        types=types,
        FastMathOptions=FastMathOptions,
        intrinsic=intrinsic,
    )


def integer(bits):
    return tools().ir.IntType(bits)


def pointer(builder, address, bits):
    return builder.inttoptr(address, integer(bits).as_pointer())


def narrow(builder, value, bits):
    return value if bits == 64 else builder.trunc(value, integer(bits))


def widen(builder, value, bits):
    return value if bits == 64 else builder.zext(value, integer(64))


def lower(p, builder, args):
    """LLVM instructions of the primitive `p` applied to `args`; the result value or None."""
    ir, cgutils, I64 = tools().ir, tools().cgutils, integer(64)  # noqa: N806
    if p.kind == "peek":
        return widen(builder, builder.load(pointer(builder, args[0], p.bits)), p.bits)
    if p.kind == "poke":
        builder.store(narrow(builder, args[1], p.bits), pointer(builder, args[0], p.bits))
    elif p.kind == "load":
        value = builder.load_atomic(pointer(builder, args[0], p.bits), p.order, p.bits // 8)
        return widen(builder, value, p.bits)
    elif p.kind == "store":
        value = narrow(builder, args[1], p.bits)
        builder.store_atomic(value, pointer(builder, args[0], p.bits), p.order, p.bits // 8)
    elif p.kind == "rmw":
        where = pointer(builder, args[0], p.bits)
        return widen(
            builder,
            builder.atomic_rmw(p.op, where, narrow(builder, args[1], p.bits), p.order),
            p.bits,
        )
    elif p.kind == "cas":
        old, new = (narrow(builder, value, p.bits) for value in args[1:])
        found = builder.cmpxchg(pointer(builder, args[0], p.bits), old, new, p.order, "seq_cst")
        return widen(builder, builder.extract_value(found, 0), p.bits)
    elif p.kind == "fence":
        builder.fence(p.order)
    elif p.kind == "pause":
        lower_pause(builder)
    elif p.kind == "copy":
        kind = ir.FunctionType(ir.VoidType(), [integer(8).as_pointer()] * 2 + [I64, integer(1)])
        copy = cgutils.get_or_insert_function(builder.module, kind, "llvm.memcpy.p0.p0.i64")
        builder.call(
            copy,
            [pointer(builder, args[0], 8), pointer(builder, args[1], 8), args[2], integer(1)(0)],
        )
    elif p.kind == "scratch":
        return builder.ptrtoint(cgutils.alloca_once(builder, ir.ArrayType(I64, 32)), I64)
    elif p.kind == "external":
        kind = ir.FunctionType(I64 if p.returns else ir.VoidType(), [I64] * p.n_args)
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, p.name), args)
    elif p.kind == "pointer":
        kind = ir.FunctionType(I64, [I64] * (len(args) - 1))
        return builder.call(builder.inttoptr(args[0], kind.as_pointer()), args[1:])
    elif p.kind == "float":
        kind = args[0].type
        name = f"{p.op}.{'f32' if isinstance(kind, ir.FloatType) else 'f64'}"
        found = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(kind, [kind] * p.n_args), name
        )
        return builder.call(found, args)
    elif p.kind == "pow2i":
        single = isinstance(args[0].type, ir.FloatType)
        whole, bias, shift = (integer(32), 127, 23) if single else (I64, 1023, 52)
        exponent = builder.add(builder.fptosi(args[0], whole), whole(bias))
        return builder.bitcast(builder.shl(exponent, whole(shift)), args[0].type)
    elif p.kind == "times_pow2":
        single = isinstance(args[0].type, ir.FloatType)
        whole, shift = (integer(32), 23) if single else (I64, 52)
        more = builder.shl(builder.fptosi(args[1], whole), whole(shift))
        sum_of_bits = builder.add(builder.bitcast(args[0], whole), more)
        return builder.bitcast(sum_of_bits, args[0].type)
    return None


def lower_pause(builder):
    """Spin hint: the target's intrinsic (! inline assembler would abort the process)."""
    ir, cgutils = tools().ir, tools().cgutils
    triple = llvm.get_process_triple()
    if triple.startswith(("x86_64", "i686")):
        kind = ir.FunctionType(ir.VoidType(), [])
        builder.call(
            cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), []
        )
    elif triple.startswith(("aarch64", "arm64")):
        kind = ir.FunctionType(ir.VoidType(), [integer(32)])
        hint = cgutils.get_or_insert_function(builder.module, kind, "llvm.aarch64.isb")
        builder.call(hint, [integer(32)(15)])


ARITY = {
    "peek": 1,
    "poke": 2,
    "load": 1,
    "store": 2,
    "rmw": 2,
    "cas": 3,
    "copy": 3,
    "pow2i": 1,
    "times_pow2": 2,
}


@cache
def numba_form(thing):
    """What Numba sees in place of a lazy nbgrad object: an intrinsic or a dispatcher."""
    types = tools().types
    if not isinstance(thing, Primitive):
        return tools().numba.njit(numba_function(thing.__wrapped__), **options(thing.fast))

    def code(context, builder, signature, args):
        result = lower(thing, builder, args)
        return context.get_dummy_value() if result is None else result

    def describe(args):
        if thing.kind in ("float", "pow2i", "times_pow2"):
            return args[0](*[args[0]] * len(args)), code
        result = types.int64 if thing.returns else types.void
        return result(*[types.int64] * len(args)), code

    # Numba reads the number of arguments off the typing function's signature, so it is made to measure.
    names = "".join(f", {name}" for name in "abcdefghij"[: ARITY.get(thing.kind, thing.n_args)])
    space = {"describe": describe}
    exec(f"def typing(context{names}): return describe([{names[2:]}])", space)
    return tools().intrinsic(space["typing"])


originals = {}  # builtin that took a kernel's name -> the kernel


def original(thing):
    """The lazy object behind a global name, whether or not its builtin has replaced it already."""
    return originals.get(id(thing), thing)


def dependencies(function):
    """What the machine code of `function` depends on: source files of all kernels it calls, primitives in full."""
    files, primitives, seen, todo = set(), set(), set(), [function]
    while todo:
        here = todo.pop()
        if here in seen:
            continue
        seen.add(here)
        code, space = here.__code__, here.__globals__
        files.add(code.co_filename)
        for name in code.co_names:
            thing = original(space.get(name))
            if isinstance(thing, Primitive):
                primitives.add(repr(thing))
            elif hasattr(thing, "jit_kernel"):
                todo.append(thing.__wrapped__)
    return sorted(files), sorted(primitives)


def numba_function(function):
    """The same code with each lazy nbgrad object among its globals replaced by what Numba understands."""
    space = dict(function.__globals__)
    for name in function.__code__.co_names:
        thing = original(space.get(name))
        if isinstance(thing, Primitive) or hasattr(thing, "jit_kernel"):
            space[name] = numba_form(thing)
    made = python_types.FunctionType(
        function.__code__, space, function.__name__, function.__defaults__, function.__closure__
    )
    made.__module__, made.__qualname__ = function.__module__, function.__qualname__
    return made


def options(fast):
    return {
        "nogil": True,
        "boundscheck": False,
        "error_model": "numpy",
        "fastmath": FAST if fast is True else fast,
    }


def numba_type(text):
    """'float32' -> a number, 'float32[]' -> a flat C-contiguous array."""
    types = tools().types
    if text.endswith("[]"):
        return types.Array(getattr(types, text[:-2]), 1, "C")
    return getattr(types, text)


@contextlib.contextmanager
def vectorized_for(target_machine):
    """Let Numba choose the width of vectors for a target machine of ours: in its own choice they have 256 bits at most."""
    codegen = tools().registry.cpu_target.target_context.codegen()
    its = getattr(codegen, "_tm", None)
    if its is None:  # another Numba: narrower vectors, nothing else
        yield
        return
    codegen._tm = target_machine
    try:
        yield
    finally:
        codegen._tm = its


def compile_module(function, arguments, result, fast, symbol):
    """LLVM module (text parsed anew) in which `function` is called `symbol`, in Numba's calling convention.

    That is: i32 status (result*, exception**, arguments...), an array being seven arguments: (meminfo, parent,
    items, item size, data, size, stride).
    """
    compiler, target = tools().compiler, tools().registry.cpu_target
    flags = compiler.Flags()
    flags.no_cpython_wrapper = flags.no_cfunc_wrapper = True
    flags.nrt = False
    flags.error_model = "numpy"
    if fast:
        flags.fastmath = tools().FastMathOptions(FAST)
    with vectorized_for(machine.target_machine()):
        compiled = compiler.compile_extra(
            target.typing_context,
            target.target_context,
            numba_function(function),
            tuple(numba_type(text) for text in arguments),
            numba_type(result),
            flags,
            {},
        )
    text = compiled.library.get_llvm_str()
    module = llvm.parse_assembly(text)
    module.get_function(compiled.fndesc.mangled_name).name = symbol
    return module
