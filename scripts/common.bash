# What the scripts share; they source it. They work in the checkout's folder, whatever its path.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
cache=${ZADS_CACHE_DIR:-$(echo ~/.cache/zads)}
[[ $cache == /* ]] || cache=$PWD/$cache
python=${PYTHON:-python3}
log=$(mktemp -t zads-setup.XXXXXX) || {
  echo "${TMPDIR:-/tmp} cannot be written: make room there, then run it again." >&2
  exit 1
}
work="" child=""
trap 'rm -rf "$log" ${work:+"$work"}' EXIT
trap interrupted INT TERM HUP

interrupted() {
  trap '' INT TERM HUP
  if [ -n "$child" ]; then
    kill -INT -- "-$child" 2>/dev/null || true # pip and apt-get clear up after themselves then
    for _ in {1..50}; do
      kill -0 -- "-$child" 2>/dev/null || break
      sleep 0.1
    done
    kill -KILL -- "-$child" 2>/dev/null || true
  fi
  printf '\nInterrupted. Nothing half-done is left in the way: run it again to go on.\n' >&2
  exit 130
}

# Say what failed, the log's lines that tell why, and what to do; end with 1.
stop() { # WHAT REMEDY
  local lines
  lines=$(grep -E '^ *(E:|ERROR|sudo:|dpkg|tar:)|[Ee]rror:|No space' "$log" | head -n 3) || lines=$(tail -n 3 "$log")
  printf '\n%s\n' "$1" >&2
  [ -z "$lines" ] || cut -c1-300 <<<"$lines" | sed 's/^ */    /' >&2
  printf '%s\n' "$2" >&2
  exit 1
}

# Run a command with its output in the log; a signal to the script ends the command and all that it started.
quietly() {
  set -m # gives it a process group of its own
  "$@" >"$log" 2>&1 </dev/null &
  child=$!
  set +m
  local code=0
  wait "$child" || code=$?
  child=""
  return "$code"
}

# Tell what the log's failure is about: disk, lock, sudo, old (package lists), network or other.
why() {
  local kind pattern
  while read -r kind pattern; do
    # Not sudo's harmless complaint about the machine's own name.
    if [ -n "$(grep -v 'unable to resolve host' "$log" | grep -E "$pattern")" ]; then
      echo "$kind"
      return
    fi
  done <<'KINDS'
disk No space left|enough free space|Disk quota
lock [Cc]ould not get lock|is another process using it
sudo ^sudo: (a (password|terminal)|[0-9]+ incorrect|unable to (allocate|change|init))|is not in the sudoers|may not run sudo|not allowed to execute
old 404 +Not Found
network Failed to fetch|Some index files failed|[Rr]esolv|resolution|[Cc]ould not connect|unreachable|[Tt]imed? ?out|No route|from versions: none|Connection
KINDS
  echo other
}
