# To be sourced: how set-up downloads. The system's certificates and the usual variables in, packages out; a download that
# fails says in one sentence which variable to set.
#
# Proxy: HTTPS_PROXY, HTTP_PROXY, NO_PROXY. Certificates: SSL_CERT_FILE, SSL_CERT_DIR, REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE,
# PIP_CERT. Package index: PIP_INDEX_URL, UV_DEFAULT_INDEX, UV_INDEX_URL, or index-url in pip.conf.

UV_VERSION=0.13.9

say() { echo "setup: $*" >&2; }

# Run a command as root. apt reads the proxy from the lower-case variables, and sudo drops them.
as_root() {
    local name upper value proxies=()
    for name in http_proxy https_proxy no_proxy; do
        upper=${name^^}
        value=${!name:-${!upper:-}}
        if [ -n "$value" ]; then proxies+=("$name=$value"); fi
    done
    if [ "$(id -u)" -eq 0 ]; then env "${proxies[@]}" "$@"; elif command -v sudo >/dev/null; then sudo env "${proxies[@]}" "$@"; else return 1; fi
}

first_file() {
    local file
    for file in "$@"; do
        if [ -n "$file" ] && [ -e "$file" ]; then
            echo "$file"
            return
        fi
    done
}

pip_setting() { "$1" -m pip config get "global.$2" 2>/dev/null || true; }

# Argument: a Python with pip. pip brings certificates of its own unless it is told otherwise, and so does uv.
use_site_certificates() {
    local configured folders=${SSL_CERT_DIR:-}
    configured=$(pip_setting "$1" cert)
    SSL_CERT_FILE=${SSL_CERT_FILE:-${REQUESTS_CA_BUNDLE:-${CURL_CA_BUNDLE:-${PIP_CERT:-$configured}}}}
    if [ -n "$SSL_CERT_FILE" ]; then export SSL_CERT_FILE; else unset SSL_CERT_FILE; fi
    if [ -z "${PIP_CERT:-$configured}" ]; then
        PIP_CERT=$(first_file "${REQUESTS_CA_BUNDLE:-}" "${CURL_CA_BUNDLE:-}" "${SSL_CERT_FILE:-}" "${folders%%:*}" \
            /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem)
        if [ -n "$PIP_CERT" ]; then export PIP_CERT; else unset PIP_CERT; fi
    fi
    export UV_SYSTEM_CERTS="${UV_SYSTEM_CERTS:-true}"
}

# Argument: a Python with pip. pip and uv use the same index, whichever of the two the site has named it for.
use_site_index() {
    local index
    index=${UV_DEFAULT_INDEX:-${UV_INDEX_URL:-${PIP_INDEX_URL:-$(pip_setting "$1" index-url)}}}
    if [ -n "$index" ]; then
        export PIP_INDEX_URL="${PIP_INDEX_URL:-$index}"
        export UV_DEFAULT_INDEX="$index"
    fi
}

# Run a command that downloads. When it fails, its messages are shown, and then what to do; otherwise nothing.
downloading() {
    local messages status=0
    messages=$(mktemp)
    "$@" >"$messages" 2>&1 || status=$?
    if [ "$status" -ne 0 ]; then
        cat "$messages" >&2
        say "$(remedy_for "$messages")"
    fi
    rm -f "$messages"
    return "$status"
}

remedy_for() {
    if grep -qiE 'certificate|UnknownIssuer|SSLError' "$1"; then
        echo "the download failed because a certificate is not trusted: set SSL_CERT_FILE to a PEM file with your site's CA certificate, and run this again"
    else
        echo "the download failed: set HTTPS_PROXY to your site's proxy, or PIP_INDEX_URL to your site's package index, and run this again"
    fi
}

# Arguments: a Python with pip (of a virtual environment). Puts the uv of this project beside it.
install_uv() {
    # not --quiet: pip would not tell why it cannot read the index
    downloading "$1" -m pip install --no-input --disable-pip-version-check "uv==$UV_VERSION"
}

# Arguments: uv, the Python for the environment. The lock file in the current folder -> .venv. The lock file names the
# public index; with an index of the site, the same files (by their digests) come from there.
sync_environment() {
    if [ -n "${UV_DEFAULT_INDEX:-}" ]; then sync_from_site_index "$@"; else downloading "$1" sync --frozen --quiet --python "$2"; fi
}

sync_from_site_index() {
    sync_locked "$1" "$2" .venv && "$1" sync --frozen --quiet --offline --no-build-isolation --python "$2"
}

# Arguments: uv, a Python, the folder of the environment, which part of the lock file (options of uv export). Only files
# with the digests of the lock file are installed, from whichever index; the project itself is not.
sync_locked() {
    local locked status=0 uv=$1 python=$2 environment=$3
    shift 3
    locked=$(mktemp)
    "$uv" export --frozen --quiet --no-emit-project "$@" --output-file "$locked" >/dev/null &&
        "$uv" venv --quiet --allow-existing --python "$python" "$environment" &&
        downloading "$uv" pip sync --quiet --python "$environment/bin/python" --require-hashes "$locked" || status=$?
    rm -f "$locked"
    return "$status"
}
