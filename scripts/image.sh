#!/usr/bin/env bash
# Runs while the image is built, in a folder with pyproject.toml and uv.lock. Argument: "dependencies" (the lock file ->
# /opt/icansee) or "program" (this project's wheel -> the same place). downloads.sh says which variables it honours; the
# build secret "ca" is a PEM file with the CA certificate of the site.
set -euo pipefail
. scripts/downloads.sh

environment=/opt/icansee
if [ -s /run/secrets/ca ]; then export SSL_CERT_FILE=/run/secrets/ca PIP_CERT=/run/secrets/ca; fi
use_site_certificates python
use_site_index python

case ${1:-} in
dependencies)
    downloading python -m pip install --no-cache-dir --root-user-action=ignore --only-binary :all: --require-hashes -r scripts/uv.txt
    sync_locked uv python "$environment" --no-dev
    # the locked hatchling, not whichever an index has today
    sync_locked uv python /opt/build --only-group build
    ;;
program)
    /opt/build/bin/python -m hatchling build --target wheel --directory dist >/dev/null
    uv pip install --quiet --offline --no-deps --python "$environment/bin/python" dist/*.whl
    ;;
*)
    say "which part of the image: dependencies or program?"
    exit 2
    ;;
esac
