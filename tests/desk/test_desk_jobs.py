"""The audits and trainings of a desk, in processes that were made up."""

import json
import subprocess
import sys
import time

import pytest

from tfft.desk import job
from tfft.desk.job import Jobs
from tfft.errors import UsageError

EVENTS = [
    {"start": "epoch 1", "total": 8, "unit": "images"},
    {"advance": 5, "values": {"loss": 0.5}},
    {"advance": 3, "values": {}},
    {"close": True},
    {"start": "asking a\x1b[31m run", "total": None, "unit": "images"},
    {"advance": 2, "values": {}},
]
SAY = "import json, os, sys\nfor event in json.loads(sys.argv[1]): print(json.dumps(event))\n"


@pytest.fixture
def jobs(monkeypatch):
    """Starts jobs whose process runs a script instead, and notes their results."""

    def begin(script: str, events: list[dict]) -> Jobs:
        def started(module: str, arguments: list[str], errors) -> subprocess.Popen:
            return subprocess.Popen(
                [sys.executable, "-c", script, json.dumps(events)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

        monkeypatch.setattr(job, "started_worker", started)
        found = Jobs(lambda kind, result: results.append((kind, result)))
        found.begin("train", run=None)
        return found

    results: list[tuple] = []
    begin.results = results
    return begin


def ended(jobs: Jobs) -> dict:
    while jobs.last.status == "running":
        time.sleep(0.01)
    return jobs.last.to_json()


def test_what_a_training_reports_is_there_to_be_shown(jobs):
    found = ended(jobs(SAY, [*EVENTS, {"result": {"run": "runs/a"}}]))
    assert (found["kind"], found["status"], found["error"]) == ("train", "finished", "")
    assert found["pieces"] == [
        {"description": "epoch 1", "total": 8, "unit": "images", "done": 8, "closed": True},
        {
            "description": "asking a\\x1b[31m run",
            "total": None,
            "unit": "images",
            "done": 2,
            "closed": True,
        },
    ]
    assert jobs.results == [("train", {"run": "runs/a"})]


def test_why_it_failed_is_what_it_said_or_the_end_of_its_log(jobs):
    said = ended(jobs(SAY + "sys.exit(2)", [{"error": "no such backbone"}]))
    assert (said["status"], said["error"]) == ("failed", "no such backbone")
    script = "import sys; sys.stderr.write('Traceback\\x07\\n' * 9 + 'KeyError: 1'); sys.exit(1)"
    bug = ended(jobs(script, []))
    assert bug["status"] == "failed"
    assert bug["error"].splitlines()[-2:] == ["Traceback\\x07", "KeyError: 1"]
    killed = ended(jobs("import os; os.kill(os.getpid(), 9)", []))
    assert "SIGKILL" in killed["error"]
    assert jobs.results == []


def test_there_is_one_at_a_time_and_it_can_be_stopped(jobs):
    running = jobs(
        SAY + "sys.stdout.flush(); sys.stdin.read(); sys.exit(130)",
        [*EVENTS, {"error": "go on with it"}],
    )
    with pytest.raises(UsageError, match="the training is still running; wait, or stop it"):
        running.begin("audit", run=None)
    running.stop()
    found = ended(running)
    assert (found["status"], found["error"]) == ("stopped", "go on with it")
    running.close()
    assert jobs.results == []
