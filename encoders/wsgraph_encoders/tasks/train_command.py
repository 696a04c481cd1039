"""``wsgraph train``."""

from pathlib import Path
from typing import Annotated, Any

import typer

from wsgraph.cli.output import Output

__all__ = ["train_command"]


def train_command(  # noqa: PLR0913  a command's options are its arguments
    task: Annotated[
        str | None,
        typer.Argument(
            metavar="[TASK]",
            help="accuracy, classify, regress, reconstruct, or a label column of the zoo.",
            show_default=False,
        ),
    ] = None,
    *,
    zoo: Annotated[Path, typer.Option(metavar="ZOO", help="A zoo's folder.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="RUN", help="The run's folder.", show_default=False)
    ],
    label: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The label, where its column has no usual name.")
    ] = None,
    methods: Annotated[
        list[str] | None,
        typer.Option(
            "--method",
            metavar="NAME",
            help="dng, static, transformer, flat, statistics, epoch; for reconstruct inr2jls, inr2jls-plain, "
            "no-generator, mean. Repeatable; by default all that the zoo allows.",
        ),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, metavar="N", help="Repetitions of each method.")] = 1,
    images: Annotated[
        str | None, typer.Option(help="For reconstruct: mnist, digits, or a .npy file [n, h, w(, channels)].")
    ] = None,
    epochs: Annotated[int | None, typer.Option(min=1, metavar="N", help="Most epochs.")] = None,
    batch: Annotated[int | None, typer.Option(min=1, metavar="N", help="Models a step.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="The highest one.")] = None,
    patience: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="Epochs without a better validation score.")
    ] = None,
    hidden: Annotated[int | None, typer.Option(min=1, metavar="N", help="Width of encoders.")] = None,
    max_nodes: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Leave the transformer out where networks have more nodes."),
    ] = None,
    accelerator: Annotated[str, typer.Option(help="Lightning's: auto, cpu, gpu...")] = "auto",
    devices: Annotated[int, typer.Option(min=1, metavar="N", help="Processes or GPUs.")] = 1,
    strategy: Annotated[str, typer.Option(help="Lightning's: auto, ddp, fsdp...")] = "auto",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Learn a label of a zoo's models from their weights, with the DNG-Encoder and the baselines.

    Run it again to go on after an interruption, or to add seeds and methods.
    """
    if task is None and label is None:
        raise typer.BadParameter("name a task (accuracy, classify, regress, reconstruct) or a --label")
    from wsgraph_encoders.tasks.fit import Machine, first_process
    from wsgraph_encoders.tasks.settings import TrainSettings
    from wsgraph_encoders.tasks.study import train_task

    out = Output(as_json=as_json)
    given: dict[str, Any] = {
        "epochs": epochs,
        "batch": batch,
        "learning_rate": learning_rate,
        "patience": patience,
        "hidden": hidden,
        "max_nodes": max_nodes,
    }
    run = train_task(
        output,
        zoo,
        task,
        label=label,
        methods=methods or (),
        seeds=seeds,
        settings=TrainSettings(**{name: value for name, value in given.items() if value is not None}),
        images=images,
        machine=Machine(accelerator, devices, strategy),
        tell=out.line if first_process() else lambda _: None,
    )
    if not first_process():
        return
    out.line(f"{len(run.pairs)} trainings are finished in {output}; next: wsgraph evaluate {output}")
    pairs = [{"method": method, "seed": seed} for method, seed in run.pairs]
    out.result(
        {
            "run": str(output),
            "task": run.task.to_json(),
            "finished": pairs,
            "skipped": run.skipped,
            "notes": run.notes,
        }
    )
