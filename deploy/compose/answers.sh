#!/bin/bash
# Does it answer? answers.sh http HOST PORT PATH, kafka HOST PORT or tcp HOST PORT. The containers' health checks: bash
# alone, since no image has curl and a Python for each look would be most of the work.
host=$2 port=$3
exec 3<>"/dev/tcp/$host/$port" || exit 1
case $1 in
  http)
    printf 'GET %s HTTP/1.0\r\nHost: %s\r\n\r\n' "${4:-/}" "$host" >&3
    read -r -t 5 _ code _ <&3
    [ "$code" = 200 ] ;;
  kafka) # ApiVersions, which any broker answers before anything else: four bytes of length come back
    printf '\0\0\0\016\0\022\0\0\0\0\0\001\0\004zads' >&3
    [ "$(timeout 5 head -c 4 <&3 | wc -c)" -eq 4 ] ;;
  tcp) ;;
esac
