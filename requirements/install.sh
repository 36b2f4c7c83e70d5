#!/bin/sh
# install.sh PYTHON ARGUMENTS: pip install ARGUMENTS. On a terminal one line shows which package it
# is at; elsewhere only errors are printed.
set -eu
python=$1
shift

install() { "$python" -m pip --disable-pip-version-check install "$@"; }

at_which() {
  count=0
  while read -r verb package rest; do
    case $verb in
      Collecting | Processing) # PACKAGE==VERSION, or the path of a wheel
        count=$((count + 1))
        package=${package##*/}
        package=${package%%==*}
        printf '\033[K  %d: %.60s\r' "$count" "${package%%-[0-9]*}"
        ;;
      Installing) printf '\033[K  unpacking\r' ;;
    esac
  done
  printf '\033[K'
}

if ! test -t 2; then
  install -qq "$@"
  exit
fi
# The line is left at its start, so that a message of pip takes its place.
status=$({ { install "$@" && echo 0 >&3 || echo $? >&3; } | at_which >&2; } 3>&1)
exit "$status"
