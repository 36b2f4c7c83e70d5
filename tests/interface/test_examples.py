"""Every function of the Python interface has an example, and each does what it shows.

They run in one directory, each once, those first whose results another one uses.
"""

import doctest
import inspect
from pathlib import Path

import pytest
from interface.example_files import write_example_files

import tfft

# What trains often, waits for a clock, or does with a backbone all that can be done.
SLOW = (
    *("advise", "benchmark", "check_backbone", "compare", "rank", "serve_check", "tune"),
    *(
        "cache_entries",
        "export",
        "find_learning_rate",
        "probe",
        "publish",
        "show_data",
        "roll_back",
    ),
)
# What an example finds there must have been made by another one; photos are there.
NEEDS = {
    **dict.fromkeys(("resume", "evaluate", "calibrate", "export", "report", "probe"), "train"),
    "embed": "train",
    **dict.fromkeys(("load_predictor", "rank", "cache_entries", "compare_models"), "train"),
    **dict.fromkeys(("benchmark", "publish", "roll_back", "serve_check"), "export"),
}
SHOWN_URL = "http://localhost:8501/v1/models/classifier"
FUNCTIONS = [name for name in tfft.__all__ if name != "__version__"]


class Examples:
    """Runs examples in the directory of this process."""

    def __init__(self) -> None:
        self.said: dict[str, str] = {}

    def run(self, name: str) -> str:
        """Runs an example and those that it needs, unless they ran before.

        Returns:
            What did not come out as shown; empty if all did.
        """
        if name in NEEDS:
            assert not self.run(NEEDS[name])
        if name not in self.said:
            self.said[name] = self._run(name, inspect.getdoc(getattr(tfft, name)) or "")
        return self.said[name]

    def _run(self, name: str, text: str) -> str:
        if name == "serve_check":
            from serving.serving_api import Model, Server

            with Server(Model("classifier", Path("saved_models/classifier"))) as server:
                return run_text(name, text.replace(SHOWN_URL, server.rest_url))
        return run_text(name, text)


def run_text(name: str, text: str) -> str:
    """Runs the examples in a docstring and returns what differs from it."""
    examples = doctest.DocTestParser().get_examples(text, name)
    if not examples:
        return f"tfft.{name} has no example"
    said: list[str] = []
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS)
    runner.run(doctest.DocTest(examples, {}, name, None, 0, text), out=said.append)
    return "".join(said)


@pytest.fixture(scope="module")
def examples(tmp_path_factory):
    """The examples, in their directory; `classifier` stands for the small recipe in it."""
    directory = tmp_path_factory.mktemp("examples")
    with pytest.MonkeyPatch.context() as patch:
        from tfft.config.loading import source

        recipes = source.bundled_recipes() | {"classifier": write_example_files(directory)}
        patch.setattr(source, "bundled_recipes", lambda: recipes)
        patch.chdir(directory)
        yield Examples()


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=[pytest.mark.slow] if n in SLOW else []) for n in FUNCTIONS]
)
def test_the_example_of_a_function_does_what_it_shows(name, examples):
    if said := examples.run(name):
        pytest.fail(said)
