#!/bin/bash
# Start Kafka or MirrorMaker with what `zads stack containers` wrote: kafka.sh kafka-upstream | kafka-public | mirrormaker.
# Each reason not to start is one line.
set -u
name=$1 config=/config data=/var/lib/kafka/data/kraft
stop() {
  echo "$name does not start: $1" >&2
  exit 1
}

[ -r "$config/$name.args" ] || stop "$config/$name.args is not there: zads.toml has no simulated Kafka, or was refused (docker compose logs init)."

# A container with less than Java asks for would be killed by the kernel some time later, without a word.
need=$(<"$config/$name.memory")
for file in /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes; do
  limit=$(cat "$file" 2>/dev/null) && [[ "$limit" =~ ^[0-9]+$ ]] || continue
  [ ${#limit} -gt 15 ] || [ $((limit / 1000000)) -ge "$need" ] ||
    stop "it needs $need MB of memory and this container may use $((limit / 1000000)): raise its mem_limit."
done

if [ -r "$config/$name.format.args" ]; then
  identity=$(<"$config/$name.id")
  if [ -r "$data/meta.properties" ]; then
    grep -qx 'version=1' "$data/meta.properties" ||
      stop "its volume holds data of an older Kafka (ZooKeeper's time): docker compose down, then docker volume rm the one of $name."
    grep -qx "cluster.id=$identity" "$data/meta.properties" ||
      stop "its volume holds another cluster's data: docker compose down, then docker volume rm the one of $name."
  else
    mapfile -t words <"$config/$name.format.args"
    said=$(java "${words[@]}" 2>&1) || stop "its volume cannot be made ready: $(tail -n 1 <<<"$said")"
  fi
fi
mapfile -t words <"$config/$name.args"
exec java "${words[@]}"
