"""``wsgraph compile``: from a model's file to an event stream's."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

import wsgraph
from wsgraph.cli.options import (
    AllowOption,
    ArchOption,
    AttentionOption,
    InputOption,
    JsonOption,
    ModelArgument,
    UnsupportedOption,
)
from wsgraph.cli.output import Output
from wsgraph.cli.report import describe, print_report
from wsgraph.cli.target import Target
from wsgraph.options import CompileOptions

__all__ = ["compile_command"]


def compile_command(  # noqa: PLR0913  a command's options are its arguments
    model: ModelArgument,
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="OUT", help="Where to write; MODEL's name with .wsg by default."
        ),
    ] = None,
    inputs: InputOption = None,
    arch: ArchOption = None,
    allow: AllowOption = None,
    attention: AttentionOption = "full",
    unsupported: UnsupportedOption = "error",
    weights: Annotated[
        bool,
        typer.Option(
            " /--no-weights", show_default=False, help="Write the structure and a reference to MODEL only."
        ),
    ] = True,
    emit: Annotated[
        Literal["ir", "events", "wsg"],
        typer.Option(
            help="Write the IR or the events as text, to OUT or standard output, instead of a .wsg file."
        ),
    ] = "wsg",
    as_json: JsonOption = False,
) -> None:
    """Compile MODEL into a stream of timestamped graph events whose edges are its weights."""
    out = Output(as_json=as_json)
    options = CompileOptions(attention=attention, unsupported=unsupported, allow=tuple(allow or ()))
    arguments: dict[str, Any] = {"inputs": inputs or None, "arch": arch, "options": options}
    if emit == "wsg":
        target = Target(output or Path(f"{_stem(model)}.wsg"), model)
        _write_stream(model, arguments, target, out, weights=weights)
    else:
        text_target = Target(output, model) if output is not None else None
        _write_text(model, arguments, text_target, out, emit=emit)


def _stem(model: str) -> str:
    path = Path(model)
    return path.resolve().name if path.is_dir() else path.stem  # a folder such as llama-3.1 has no suffix


def _write_stream(
    model: str, arguments: dict[str, Any], target: Target, out: Output, *, weights: bool
) -> None:
    with out.working(f"compiling {model}"):
        stream = wsgraph.compile(model, **arguments)
        stream.save(target.path, weights=weights)
    report = describe(stream, read_weights=weights)  # they may be larger than the machine's memory
    print_report(stream, report, out)
    out.line(f"written to {target.path}" + ("" if weights else f", without weights: they stay in {model}"))
    out.result({"model": model, "written": str(target.path), **report})


def _write_text(
    model: str, arguments: dict[str, Any], target: Target | None, out: Output, *, emit: str
) -> None:
    with out.working(f"compiling {model}"):
        text = _ir_text(model, arguments) if emit == "ir" else wsgraph.compile(model, **arguments).text()
    if target is None:
        out.text(text)
    else:
        target.write_text(text)
        out.line(f"written to {target.path}")
    out.result({"model": model, "emit": emit, "written": str(target.path) if target else None, "text": text})


def _ir_text(model: str, arguments: dict[str, Any]) -> str:
    from wsgraph.compiler import trace

    return str(trace(model, **arguments))
