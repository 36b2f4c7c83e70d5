"""What importing tfft, its command line and its light stages must not pull in."""

import subprocess
import sys

import pytest

HEAVY = ("tensorflow", "keras", "sklearn", "scipy", "tensorflow_datasets", "pandas")


def modules_loaded_by(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has after running the code."""
    report = "\nimport sys; print(' '.join({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", code + report], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


HELP = """
import contextlib, io
from tfft.cli.main import main
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main(["--help"])
"""


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import tfft", {"tfft"}),
        ("import tfft.cli.main", {"tfft", "click"}),
        (HELP, {"tfft", "click"}),
    ],
    ids=["the package", "the command line", "its help"],
)
def test_the_package_and_the_help_of_its_command_line_import_no_library_but_click(code, expected):
    libraries = modules_loaded_by(code) - modules_loaded_by("pass") - sys.stdlib_module_names
    assert libraries == expected


@pytest.mark.parametrize(
    "module",
    [
        "tfft.config.loading.load",
        "tfft.catalog.backbones",
        "tfft.images.pixels",
        "tfft.metrics.classification",
        "tfft.runtime.load",
        "tfft.cli.train",
        "tfft.desk.desk",
        "tfft.cli.evaluate",
        "tfft.cli.embed",
        "tfft.cli.export",
        "tfft.cli.calibrate",
        "tfft.cli.report",
        "tfft.cli.publish",
        "tfft.cli.serve_check",
        "tfft.runtime.served.predictor",
        "tfft.runtime.served.rest",
        "tfft.exports.serving.publish",
        "tfft.cli.data",
        "tfft.cli.backbones",
        "tfft.cli.rank",
        "tfft.cli.quickstart",
    ],
)
def test_light_stages_and_commands_start_no_tensorflow(module):
    assert modules_loaded_by(f"import {module}").isdisjoint({"tensorflow", "keras"})


@pytest.mark.parametrize("module", ["tfft.cli.predict", "tfft.runtime.tflite.predictor"])
def test_prediction_with_tflite_imports_no_heavy_library(module):
    assert modules_loaded_by(f"import {module}").isdisjoint({*HEAVY, "pydantic", "rich"})


@pytest.mark.slow
def test_the_functions_keep_their_names_when_their_packages_are_imported():
    code = (
        "import tfft, importlib; importlib.import_module('tfft.evaluation.evaluate'); "
        "importlib.import_module('tfft.exports.export'); "
        "assert callable(tfft.evaluate) and callable(tfft.export)"
    )
    modules_loaded_by(code)


HIDDEN = """
import sys
from tfft.system.own_process import claim_process, without_unused_packages
{claim}
with without_unused_packages():
    try:
        import matplotlib
    except ImportError:
        assert "{claim}"
    else:
        assert not "{claim}"
assert ("matplotlib" in sys.modules) is not bool("{claim}")
import matplotlib
"""


@pytest.mark.parametrize("claim", ["", "claim_process()"], ids=["a user's", "of tfft's own"])
def test_a_process_of_its_own_leaves_out_what_keras_would_import_for_others(claim):
    pytest.importorskip("matplotlib")
    modules_loaded_by(HIDDEN.format(claim=claim))


@pytest.mark.slow
def test_keras_starts_without_scikit_learn_in_a_process_of_its_own():
    code = (
        "from tfft.system.own_process import claim_process; claim_process(); "
        "from tfft.system.tensorflow import keras; "
    )
    assert modules_loaded_by(code).isdisjoint({"sklearn", "matplotlib"})
    assert "sklearn" in modules_loaded_by(f"{code}import sklearn.linear_model")
