"""`tfft desk`: a page to look at photos, mend their labels and train again."""

import webbrowser
from pathlib import Path

import click

import tfft
from tfft.cli.options import PathType, quiet_option
from tfft.cli.output import print_rich, results_stream, say
from tfft.cli.progress import shown_progress
from tfft.system.readable import command_text


@click.command()
@click.argument("data", metavar="DATA", type=PathType())
@click.option(
    "--model",
    type=PathType(),
    metavar="RUN",
    help="Run that is asked about the photos, trained again, and compared with the new one.",
)
@click.option(
    "--labels",
    type=PathType(dir_okay=False),
    metavar="FILE",
    help="CSV file that keeps what is decided. Default: the one of the run, or DATA.labels.csv.",
)
@click.option(
    "--port", type=click.IntRange(0, 65535), default=0, metavar="N", help="Default: a free one."
)
@click.option("--no-audit", is_flag=True, help="Do not audit the photos until the page asks.")
@click.option("--no-browser", is_flag=True, help="Print the address, and open no browser.")
@quiet_option
def command(
    data: Path,
    model: Path | None,
    labels: Path | None,
    port: int,
    no_audit: bool,
    no_browser: bool,
    quiet: bool,
) -> None:
    """Look at photos, mend their labels and train again, on a page of this machine.

    DATA is a folder of photos, one folder a class, or a CSV file with the columns path and label.
    No photo is touched: each decision is at once in the labels file, which every command takes as
    --labels FILE, and which `tfft data apply` carries out.

    The page can be reached from this machine only, by an address with a secret in it. Ctrl-C ends
    the desk, and a training that is running with it; tfft train --resume goes on with that.

    \b
    Example:
      tfft desk photos/
      tfft desk photos/ --model runs/classifier
    """
    with results_stream() as results:
        with shown_progress(quiet) as progress:
            desk = tfft.open_desk(data, model=model, labels=labels, port=port, progress=progress)
        print_rich(results, desk.address)
    with desk:
        say(f"The labels file is {desk.labels}. Ctrl-C ends the desk.")
        if not no_audit:
            desk.audit()
        if not no_browser:
            webbrowser.open(desk.address)
        try:
            desk.wait()
        except KeyboardInterrupt as interrupt:
            if desk.labels.is_file():
                recipe = "classifier" if model is None else model / "recipe.yaml"
                words = ["train", recipe, "--data", data, "--labels", desk.labels]
                if model is not None:
                    words += ["--set", f"data.split_like={model}"]
                interrupt.add_note(f"{desk.labels} keeps what was decided: {command_text(*words)}")
            raise
