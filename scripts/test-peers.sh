#!/usr/bin/env bash
# Installs the real servers and tools the tests talk to (Debian or Ubuntu, root or sudo). Starts none of them.
set -euo pipefail
. "$(dirname "$0")/downloads.sh"

declare -A package_of=(
    [/usr/bin/storescu]=dcmtk
    [/usr/sbin/Orthanc]=orthanc
    [/usr/share/orthanc/plugins/libOrthancDicomWeb.so]=orthanc-dicomweb
    [/usr/bin/redis-server]=redis-server
    [/usr/bin/dciodvfy]=dicom3tools
    [/usr/share/java/pixelmed.jar]=libpixelmed-java
    [/usr/bin/java]=default-jre-headless
    ["/usr/bin/openssl"]=openssl
    ["/usr/bin/pdftotext"]=poppler-utils
    ["/usr/bin/npm"]=npm
    ["/usr/bin/chromium"]=chromium
    ["/usr/share/fonts/truetype/wqy/wqy-microhei.ttc"]=fonts-wqy-microhei
    ["/usr/bin/pgrep"]=procps
    ["/*bin/ip"]=iproute2
    ["/usr/lib/postgresql/*/bin/pg_ctl"]=postgresql
)

missing=()
for file in "${!package_of[@]}"; do
    compgen -G "$file" >/dev/null || missing+=("${package_of[$file]}")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" -ne 0 ] && ! command -v sudo >/dev/null; then
    echo "test peers: missing ${missing[*]}; neither root nor sudo: install them by hand" >&2
    exit 1
fi
command -v apt-get >/dev/null || { echo "test peers: missing ${missing[*]}; no apt-get here: install them by hand" >&2; exit 1; }

echo "test peers: installing ${missing[*]}" >&2
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'as_root rm -f "$policy"' EXIT
    # 101: "action forbidden by policy"; the packages are unpacked, their services stay off
    printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
    as_root chmod 755 "$policy"
fi
as_root apt-get update -qq || echo "test peers: apt-get update failed; trying with what is known" >&2
as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" >&2 || {
    echo "test peers: the installation failed: if this machine needs a proxy, set http_proxy and run this again" >&2
    exit 1
}
