#!/bin/sh
# Makes plugin.wasm. Needs python3 with venv, once the network; VENV names an environment that has the requirements already.
set -eu
cd "$(dirname "$0")"
if [ -z "${VENV:-}" ]; then
  VENV=.venv
  [ -d "$VENV" ] || python3 -m venv "$VENV"
  "$VENV/bin/pip" install --quiet --disable-pip-version-check --requirement requirements.txt
fi
exec "$VENV/bin/componentize-py" --quiet --wit-path wit --world plugin componentize app --output plugin.wasm
