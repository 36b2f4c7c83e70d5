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
lock pyproject.toml --all-extras --constraint requirements/core.lock -o requirements/dev.lock
