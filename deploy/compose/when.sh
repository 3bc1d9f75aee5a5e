#!/bin/bash
# Start a program when what it needs is there: when.sh HOST:PORT ... -- COMMAND. Not every engine waits for health checks.
while [ "$1" != -- ]; do
  address=$1 told=""
  until (exec 3<>"/dev/tcp/${address%:*}/${address##*:}") 2>/dev/null; do
    [ -n "$told" ] || echo "Waiting for $address ..."
    told=yes
    sleep 0.5
  done
  shift
done
shift
exec "$@"
