"""What importing tfft, its command line and its light stages must not pull in, or cost."""

import os
import subprocess
import sys

import pytest

HEAVY = ("tensorflow", "keras", "sklearn", "scipy", "tensorflow_datasets", "pandas")


def modules_loaded_by(code: str) -> set[str]:
    """The top-level modules that a fresh interpreter has after running the code."""
    report = "; import sys; print(' '.join({name.split('.')[0] for name in sys.modules}))"
    done = subprocess.run(
        [sys.executable, "-c", code + report], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["tfft", "tfft.cli.main"])
def test_the_package_and_its_command_line_import_next_to_nothing(module):
    loaded = modules_loaded_by(f"import {module}")
    assert loaded.isdisjoint({*HEAVY, "pydantic", "yaml", "numpy", "PIL", "rich"})


@pytest.mark.parametrize(
    "module",
    [
        "tfft.config.load",
        "tfft.catalog.backbones",
        "tfft.images.pixels",
        "tfft.metrics.classification",
        "tfft.runtime.load",
        "tfft.cli.train",
        "tfft.cli.evaluate",
        "tfft.cli.export",
        "tfft.cli.calibrate",
        "tfft.cli.report",
        "tfft.cli.publish",
        "tfft.cli.serve_check",
        "tfft.runtime.served_predictor",
        "tfft.runtime.rest_transport",
        "tfft.export.publish",
        "tfft.cli.data",
        "tfft.cli.backbones",
        "tfft.cli.rank",
        "tfft.cli.quickstart",
    ],
)
def test_light_stages_and_commands_start_no_tensorflow(module):
    assert modules_loaded_by(f"import {module}").isdisjoint({"tensorflow", "keras"})


@pytest.mark.parametrize("module", ["tfft.cli.predict", "tfft.runtime.tflite_predictor"])
def test_prediction_with_tflite_imports_no_heavy_library(module):
    assert modules_loaded_by(f"import {module}").isdisjoint({*HEAVY, "pydantic", "rich"})


@pytest.mark.slow
def test_the_functions_keep_their_names_when_their_packages_are_imported():
    code = (
        "import tfft, importlib; importlib.import_module('tfft.evaluate.evaluate'); "
        "importlib.import_module('tfft.export.export'); "
        "assert callable(tfft.evaluate) and callable(tfft.export)"
    )
    modules_loaded_by(code)


def processor_seconds(*command: str) -> float:
    """The least of five runs, in processor time: another program beside it changes nothing."""
    seconds = []
    for _ in range(5):
        process = subprocess.Popen([sys.executable, *command], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        seconds.append(usage.ru_utime + usage.ru_stime)
    return min(seconds)


def test_help_answers_at_once():
    assert processor_seconds("-m", "tfft", "--help") < 0.2


def test_importing_the_package_takes_a_tenth_of_a_second_at_most():
    assert processor_seconds("-c", "import tfft") - processor_seconds("-c", "pass") < 0.1
