# apt for scripts/packages, which sources it: who may install, what apt knows, sizes, fetching. Needs common.bash.
apt_options=(-o Acquire::Retries=1 -o Acquire::http::Timeout=30 -o Acquire::https::Timeout=30 -o APT::Sandbox::User=root)
as_root=() may_install=yes updated=""
if [ "$(id -u)" -ne 0 ]; then
  if ! command -v sudo >/dev/null; then
    may_install=no
  elif [ -t 0 ]; then
    as_root=(sudo)
  else
    as_root=(sudo -n) # nobody is there to type a password
  fi
fi

# Run as root, with its output in the log. Not by `quietly`: sudo asks for a password on the terminal, and a
# package that is half installed is worse than a moment's wait after Ctrl-C. needrestart would restart services.
privileged() {
  local code=0
  "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 LC_ALL=C "$@" >"$log" 2>&1 || code=$?
  [ "$code" -ne 130 ] || interrupted # sudo's own terminal keeps Ctrl-C from us
  return "$code"
}

# Read the package lists anew; fails when one of them cannot be read.
update() {
  updated=yes
  echo "Reading apt's package lists ..."
  local try
  for try in 1 2 3 4 5 6; do
    # Without this mode apt-get is content with having reached nothing.
    privileged apt-get update -qq "${apt_options[@]}" -o APT::Update::Error-Mode=any && return 0
    [ "$(why)" = lock ] && [ "$try" -lt 6 ] || return 1
    echo "  another program uses apt; waiting for it ..."
    sleep 10
  done
}

# Print those of the packages that apt has no entry for.
unknown() { # PACKAGE...
  local package
  for package; do
    [[ $(apt-cache show --no-all-versions "$package" 2>/dev/null) == *Filename:* ]] || echo "$package"
  done
}

# Say how large it is to install these with all that they need, as apt reckons: "82.1 MB to fetch, 251 MB on disk".
size_installed() { # PACKAGE...
  LC_ALL=C apt-get install --no-install-recommends --print-uris -y "$@" 2>/dev/null | awk '
    /^Need to get/ { fetch = $4 " " $5; sub("/.*", "", fetch) } /^After this operation/ { disk = $4 " " $5 }
    END { print fetch == "" ? "apt does not tell the size" : fetch " to fetch, " disk " on disk" }'
}

# Say how large the packages themselves are.
size_unpacked() { # PACKAGE...
  apt-cache show --no-all-versions "$@" 2>/dev/null | awk '/^Size:/ { fetch += $2 / 1e6 } END { printf "%.1f MB to fetch\n", fetch }'
}

# Print a package and what its program reads besides: Prometheus' page comes from packages of its own.
with_page() { # PACKAGE
  echo "$1"
  [ "$1" = prometheus ] || return 0
  apt-cache depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances \
    prometheus | grep -E '^(libjs-|fonts-glyphicons)' || true
}

# End, saying why apt-get failed.
refused() { # WHAT COMMAND
  case $(why) in
    disk) stop "The disk is full: $1 could not be fetched." "Make room, then run it again." ;;
    lock) stop "Another program uses apt (Ubuntu's own upgrades, perhaps)." "Wait until it is through, then run it again." ;;
    sudo) stop "sudo does not let this user install here." "Let the administrator run, as root: $2" ;;
    old) stop "apt's package lists are out of date: $1 could not be fetched." "Run \`sudo apt-get update\`, then run it again." ;;
    network) stop "$1 could not be fetched: apt-get does not reach its servers." \
      "Check the network and, if there is one, apt's proxy; then run it again." ;;
    *) stop "apt-get failed: $2" "Mend what it says (often: sudo dpkg --configure -a), then run it again." ;;
  esac
}

download() { quietly env -C "$work" LC_ALL=C apt-get download -qq "${apt_options[@]}" "$@"; } # PACKAGE...

# Unpack the distribution's package into the cache, and link its programs where zads and the Makefile find them.
# It appears by one rename, after its programs have run: half a package is never taken for whole.
unpack_into_cache() { # PACKAGE
  local deb program parts home="$cache/packages/$1"
  mapfile -t parts < <(with_page "$1")
  work=$(mktemp -d "$cache/packages/new-XXXXXX")
  if ! download "${parts[@]}"; then
    # Lists that are out of date name files that are gone; root can read them anew without asking anybody.
    { [ "$(why)" = old ] && [ "$(id -u)" -eq 0 ] && [ -z "$updated" ] && update && download "${parts[@]}"; } ||
      refused "$1" "apt-get download $1"
  fi
  mkdir "$work/root"
  for deb in "$work"/*.deb; do
    # Left out: manuals, and 210 MB of time zones as text that no page reads.
    quietly bash -o pipefail -c 'dpkg-deb --fsys-tarfile "$1" | tar -x -C "$2" --no-same-owner \
      --exclude="./usr/share/doc" --exclude="./usr/share/man" --exclude="*/moment-timezone/data"' _ "$deb" "$work/root" ||
      refused "$1" "dpkg-deb --fsys-tarfile"
  done
  for program in "$work"/root/usr/bin/*; do
    quietly "$program" --version || stop "$(basename "$program") of the package $1 does not run." "Install it: sudo apt-get install $1"
  done
  rm -rf "$home"
  mv "$work/root" "$home"
  for program in "$home"/usr/bin/*; do
    link "$program" "../packages/$1"
  done
  rm -rf "$work"
  work=""
}

# Debian's Prometheus looks for its page under /usr/share, unless told where it is. Debian's Alertmanager looks
# there for its templates and cannot be told: in the unpacked copy that one path, which is a string of the same
# length, becomes a descriptor that the link opens on the unpacked folder.
link() { # PROGRAM HOME
  local name templates="/usr/share/prometheus/alertmanager"
  name=$(basename "$1")
  if [ "$name" = prometheus-alertmanager ] && LC_ALL=C grep -qaF "$templates" "$1"; then
    LC_ALL=C sed -i "s|$templates\([^/]\)|/proc/self/fd/9///////////////////\1|g" "$1"
    printf '#!/bin/sh\nhome=$(dirname "$(readlink -f "$0")")/%s\nexec 9<"$home%s"\nexec "$home/usr/bin/%s" "--web.ui-path=$home%s/no-ui/" "$@"\n' \
      "$2" "$templates" "$name" "$templates" >"$cache/bin/$name.new"
    chmod 755 "$cache/bin/$name.new"
  elif [ "$name" = prometheus ] && [[ $("$1" --help 2>&1) == *--web.local-assets* ]]; then
    printf '#!/bin/sh\nhome=$(dirname "$(readlink -f "$0")")/%s\nexec "$home/usr/bin/prometheus" "--web.local-assets=$home/usr/share/prometheus/web" "$@"\n' \
      "$2" >"$cache/bin/$name.new"
    chmod 755 "$cache/bin/$name.new"
  else
    ln -sfn "$2/usr/bin/$name" "$cache/bin/$name.new"
  fi
  mv -T "$cache/bin/$name.new" "$cache/bin/$name"
}
