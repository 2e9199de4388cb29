#!/usr/bin/env bash
# Builds the image of the Dockerfile and runs the program in it, on Debian or Ubuntu, as root (make image). The base of the
# Dockerfile is pulled when its registry answers. Otherwise Debian's own Python 3.11 stands in for it, and this says so:
# then the text of the Dockerfile is checked, not its base. BASE names another base.
set -euo pipefail
cd "$(dirname "$0")/.."
. scripts/downloads.sh

export BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs
stand_in=localhost/icansee-base:debian
image=localhost/icansee:check
runs=(--network host --user icansee)

missing=()
for package in buildah debootstrap; do command -v "$package" >/dev/null || missing+=("$package"); done
if [ ${#missing[@]} -gt 0 ]; then
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" crun >&2
fi

make_stand_in() {
    local folder container
    folder=$(mktemp -d)
    debootstrap --variant=minbase --include=python3.11,python3-pip,ca-certificates bookworm "$folder" >/dev/null
    # as in the base: `python`, and a pip that installs for it
    ln -sf python3.11 "$folder/usr/bin/python"
    rm -f "$folder/usr/lib/python3.11/EXTERNALLY-MANAGED"
    container=$(buildah from scratch)
    buildah add -q "$container" "$folder" / >/dev/null
    buildah commit -q --rm "$container" "$stand_in" >/dev/null
    rm -rf "$folder"
}

base=${BASE:-$(sed -n 's/^ARG BASE=//p' Dockerfile)}
if buildah pull -q "docker.io/library/$base" >/dev/null 2>&1 || buildah pull -q "$base" >/dev/null 2>&1; then
    say "base: $base"
else
    say "base: $base cannot be pulled here; Debian's own Python 3.11 stands in for it"
    buildah inspect --type image "$stand_in" >/dev/null 2>&1 || make_stand_in
    base=$stand_in
fi

use_site_certificates python3
secret=()
if [ -f "${SSL_CERT_FILE:-}" ]; then secret=(--secret "id=ca,src=$SSL_CERT_FILE"); fi
buildah bud -q --format docker --network host "${secret[@]}" --build-arg "BASE=$base" \
    ${PIP_INDEX_URL:+--build-arg "PIP_INDEX_URL=$PIP_INDEX_URL"} -t "$image" . >/dev/null

container=$(buildah from "$image")
trap 'buildah rm "$container" >/dev/null' EXIT
in_image() { buildah run "${runs[@]}" "$container" -- "$@"; }
[ "$(in_image id -un)" = icansee ] || { say "the image runs as root"; exit 1; }
in_image icansee config check
in_image sh -c 'icansee simulate --out /tmp/sim --pattern A --seed 1 --protocol 2d >/dev/null &&
    icansee assess --followup /tmp/sim/SIM-1/followup --baseline /tmp/sim/SIM-1/baseline --infusion-date 2024-03-04 --json /tmp/result.json >/tmp/said && head -1 /tmp/said'
say "the image works: $(buildah images --format '{{.Size}}' "$image")"
