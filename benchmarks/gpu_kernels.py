"""What the kernels become on a Hopper GPU, found out without one: Triton compiles them for it anywhere.

    PYTHONPATH=.:plugins:encoders python benchmarks/gpu_kernels.py          # as launched: minutes
    PYTHONPATH=.:plugins:encoders python benchmarks/gpu_kernels.py --small  # do they compile?

Registers a thread and bytes of stack (what is spilled, and 32 for sines of large arguments) as ptxas has
them, shared memory, and how many instructions for tensor cores: wgmma, Hopper's own, and mma, the older ones.
"""

import argparse
import json
import os
import re
import subprocess
import tempfile
from pathlib import Path

os.environ.pop("TRITON_INTERPRET", None)

import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from wsgraph_encoders.triton.kernels.multi import multi_kernel
from wsgraph_encoders.triton.kernels.multi_backward import multi_backward_kernel
from wsgraph_encoders.triton.kernels.outside import outside_kernel
from wsgraph_encoders.triton.kernels.single import single_kernel
from wsgraph_encoders.triton.kernels.single_coefficients import single_coefficients_kernel
from wsgraph_encoders.triton.kernels.single_weights import single_weights_kernel
from wsgraph_encoders.triton.launch import blocks_for, head_block, multi_blocks

HOPPER = GPUTarget("cuda", 90, 32)
TYPES = {
    "w_ptr": "*bf16", "segments_ptr": "*i64", "tiles_ptr": "*i32", "rungs_ptr": "*i32", "level_ptr": "*i32",
    "counts_ptr": "*i32",
}  # fmt: skip
SINGLE, MULTI = (
    (single_kernel, single_coefficients_kernel, single_weights_kernel),
    (multi_kernel, multi_backward_kernel),
)


def cases(*, small: bool) -> list[tuple[triton.JITFunction, dict[str, object], dict[str, int]]]:
    """Kernels with their constants and options: large dense blocks of width 64, and a table's."""
    tiny = {"BR": 16, "BS": 16, "BC": 16}
    found: list[tuple[triton.JITFunction, dict[str, object], dict[str, int]]] = []
    for precision in ("bf16",) if small else ("bf16", "tf32x3"):
        for rows, grouped in ((32, True),) if small else ((4096, False), (32, True)):
            rows_, sources, columns, options = blocks_for(rows, 64)
            blocks = tiny if small else {"BR": rows_, "BS": sources, "BC": columns}
            shared = {"GROUPED": grouped, "PARTS": 1, "PRECISION": precision, **blocks}
            for kernel in SINGLE:
                extra = {"SIZE": 0} if kernel is single_kernel else {}
                found.append((kernel, shared | extra, options))
        rows_, _, columns, options = multi_blocks(4096, 64)
        blocks = (
            {"BR": 16, "BE": 16, "BC": 16} if small else {"BR": rows_, "BE": head_block(32), "BC": columns}
        )
        for kernel in MULTI:
            extra = {"WEIGHTS": True} if kernel is multi_backward_kernel else {}
            found.append((kernel, {"PRECISION": precision, **blocks, **extra}, options))
    found.append((outside_kernel, {"GROUPED": False, "RUNGS": 16, "BR": 128, "BS": 32}, {}))
    return found


def figures(
    kernel: triton.JITFunction, constants: dict[str, object], options: dict[str, int]
) -> dict[str, object]:
    """One kernel's resources."""
    signature, attributes, constexprs = {}, {}, dict(constants)
    for place, name in enumerate(kernel.arg_names):
        if name in constants:
            signature[name] = "constexpr"
        elif name in ("w_source", "w_parallel") and name == kernel.arg_names[-1]:
            signature[name], constexprs[name] = "constexpr", 1
        else:
            signature[name] = TYPES.get(name, "*fp32") if name.endswith("_ptr") else "i32"
            attributes[(place,)] = [["tt.divisibility", 16]]
    source = ASTSource(kernel, signature, constexprs, attributes)
    compiled = triton.compile(source, target=HOPPER, options=options)
    ptx = compiled.asm["ptx"]
    return {
        "kernel": kernel.__name__,
        **{name: value for name, value in constants.items() if name not in ("SIZE", "RUNGS")},
        **usage(compiled.asm["cubin"]),
        "shared": compiled.metadata.shared,
        "wgmma": ptx.count("wgmma.mma_async"),
        "mma": ptx.count("mma.sync"),
    }


def usage(cubin: bytes) -> dict[str, int]:
    """Registers and stack by the cuobjdump that comes with Triton."""
    tool = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(cubin)
        file.flush()
        done = subprocess.run([tool, "-res-usage", file.name], capture_output=True, text=True, check=True)
    found = re.search(r"REG:(\d+) STACK:(\d+)", done.stdout)
    assert found is not None, done.stdout
    return {"registers": int(found[1]), "stack": int(found[2])}


def main() -> None:
    """Compile and print a line a kernel, JSON with ``--json``."""
    parser = argparse.ArgumentParser(description="The kernels' resources on a Hopper GPU.")
    parser.add_argument("--small", action="store_true", help="the smallest blocks, bf16 only")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    for case in cases(small=options.small):
        row = figures(*case)
        print(json.dumps(row) if options.json else "  ".join(f"{k} {v}" for k, v in row.items()), flush=True)


if __name__ == "__main__":
    main()
