#!/bin/sh
# Locks what pyproject.toml asks for: exact versions with hashes, for Python 3.11 to 3.13 on every
# system, without any registry address. Run by `make lock`; needs `uv`.
set -eu
cd "$(dirname "$0")/.."
lock() {
    uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --upgrade \
        --no-emit-index-url --no-header --no-annotate "$@"
}
lock pyproject.toml -o requirements/core.lock
lock pyproject.toml --extra offline --constraint requirements/core.lock -o requirements/offline.lock
# Every extra but heic, whose wheels hold libraries under the GPL.
extras=$(sed -n '/^\[project.optional-dependencies\]/,/^\[/s/^\([a-z-]*\) = \[.*/\1/p' pyproject.toml |
    grep -vx heic | sed 's/^/--extra /')
# shellcheck disable=SC2086 - a word each
lock pyproject.toml $extras --constraint requirements/core.lock -o requirements/dev.lock
