"""Options that several commands have, each defined once."""

from pathlib import Path

import click

recipe_argument = click.argument("recipe", metavar="RECIPE")

set_option = click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="Set a value of the recipe, such as train.phases.0.epochs=5. Can be repeated.",
)

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Photos, one folder a class, or a CSV file with the columns path and label.",
)

info_option = click.option(
    "--info",
    type=click.Path(path_type=Path),
    metavar="MODEL",
    help="Of a served model, its run, its export or its tfft.json: for the images that it was "
    "trained on, whose place a server does not tell, or if it does not say what it is.",
)

timeout_option = click.option(
    "--timeout",
    type=click.FloatRange(min=0.0, min_open=True),
    metavar="SECONDS",
    help="How long a server may take for one request.  [default: 60]",
)

json_option = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON document (docs/json.md)."
)

quiet_option = click.option("-q", "--quiet", is_flag=True, help="Show no progress.")
