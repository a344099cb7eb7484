"""Machine code in this process: load objects with llvmlite, expose addresses as METH_FASTCALL builtins.

Note [Fast calls]
~~~~~~~~~~~~~~~~~
A Numba dispatcher call costs 400-750 ns; a builtin made from a native function costs 40-60 ns.  The
native side reads CPython and NumPy structs at fixed offsets (ndarray: data 16, nd 24, dims 32, descr 56, flags 64;
tuple: size 16, items 24; bytes: size 16, data 32).  `selftest()` compares those offsets with the public API at import;
where it fails (free-threaded builds, another NumPy ABI) kernels go through the Numba dispatcher instead.
A builtin's `self` is an int64 array, its *block*: word 0.. hold addresses of objects (kept alive by this module)
and of native functions; nothing that depends on the process is baked into cached code.
"""

import ctypes
from functools import cache

import numpy as np

from nbgrad.jit import llvm

METH_FASTCALL = 0x0080


class PyMethodDef(ctypes.Structure):
    _fields_ = [
        ("ml_name", ctypes.c_char_p),
        ("ml_meth", ctypes.c_void_p),
        ("ml_flags", ctypes.c_int),
        ("ml_doc", ctypes.c_char_p),
    ]


new_builtin = ctypes.pythonapi.PyCFunction_NewEx
new_builtin.restype = ctypes.py_object
new_builtin.argtypes = [ctypes.POINTER(PyMethodDef), ctypes.py_object, ctypes.c_void_p]

immortal: list = []  # method definitions and blocks: native code points into them until the process ends
# (! a builtin may be freed after this module was cleared at exit, and looks at its definition then)
ctypes.pythonapi.Py_IncRef(ctypes.py_object(immortal))


@cache
def engine():
    """The one execution engine of this process."""
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), target_machine())


def target_machine():
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    return llvm.Target.from_default_triple().create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=wide(llvm.get_host_cpu_features().flatten()),
        opt=3,
        jit=True,
    )


def wide(features: str) -> str:
    """CPU features in LLVM's notation, with vectors of 512 bits allowed where they pay.

    LLVM keeps to 256 bits on all of Intel's CPUs, since the first with AVX-512 slowed down under wide vectors.  Those that
    have VBMI2 (Ice Lake and later) hardly do.
    """
    return f"{features},-prefer-256-bit" if "+avx512vbmi2" in features else features


def emit(module, keep: set[str]) -> bytes:
    """Object code of an LLVM module in which only the functions `keep` are visible from outside."""
    for value in [*module.functions, *module.global_variables]:
        if not value.is_declaration and value.name not in keep:
            value.linkage = "internal"
    machine = target_machine()
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    options.loop_vectorization = True
    options.slp_vectorization = True
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)
    return machine.emit_object(module)


def load_object(obj: bytes, symbol: str) -> int:
    """Link an object into this process; the address of `symbol` in it."""
    jit = engine()
    jit.add_object_file(llvm.ObjectFileRef.from_data(obj))
    jit.finalize_object()
    address = jit.get_function_address(symbol)
    assert address, f"{symbol} is not in its own object"
    return address


def make_builtin(name: str, address: int, block: np.ndarray, doc: str = ""):
    """A builtin function that runs the native function at `address` with `block` as its self."""
    definition = PyMethodDef(name.encode(), address, METH_FASTCALL, (doc or name).encode())
    immortal.append((definition, block))
    return new_builtin(ctypes.byref(definition), block, None)


def selftest() -> bool:
    """Are the struct offsets of Note [Fast calls] right in this interpreter?"""

    def word(thing, offset):
        return ctypes.c_int64.from_address(id(thing) + offset).value

    try:
        a = np.arange(6, dtype=np.float32).reshape(2, 3)
        dims = word(a, 32)
        raw = bytes(range(1, 9))
        pair = (None, a)
        return (
            word(a, 8) == id(np.ndarray)
            and word(a, 16) == a.ctypes.data
            and word(a, 24) & 0xFFFFFFFF == 2
            and [ctypes.c_int64.from_address(dims + 8 * k).value for k in range(2)] == [2, 3]
            and word(a, 56) == id(a.dtype)
            and word(a, 64) & 0x401 == 0x401
            and np.empty(3, "f4").dtype is np.dtype("f4")
            and word(pair, 16) == 2
            and word(pair, 24) == id(None)
            and word(pair, 32) == id(a)
            and word(raw, 16) == 8
            and ctypes.string_at(id(raw) + 32, 8) == raw
        )
    except Exception:  # an interpreter with other structs may fail in any way
        return False


fast_calls = selftest()
