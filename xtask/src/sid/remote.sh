#!/bin/sh
# remote.sh SERVER DATABASE CAS FOLDER: in the sid root, a remote cache and executor on loopback, until
# standard input ends: BuildGrid with PostgreSQL, and buildbox's worker. The first three are the
# ports of BuildGrid, PostgreSQL, and buildbox's CAS. FOLDER is emptied. Says `ready`.
set -eu
server=$1 database=$2 cas=$3 folder=$4
tools=/usr/share/pylayer/buildgrid
step() { echo "remote: $*" >&2; }

if [ ! -x /usr/bin/buildbox-worker ] || ! ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; then
    step "install buildbox and PostgreSQL (40 s)"
    apt-get update -q >"$folder.log" 2>&1
    DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --no-install-recommends \
        buildbox postgresql python3-venv >>"$folder.log" 2>&1 || {
        tail -n 20 "$folder.log" >&2
        exit 1
    }
fi
if [ ! -x $tools/bin/bgd ]; then
    step "install BuildGrid (20 s)"
    rm -rf $tools
    /usr/bin/python3 -m venv $tools
    $tools/bin/pip install --quiet --disable-pip-version-check 'buildgrid==0.9.1' \
        'psycopg[binary]>=3.2' >"$folder.log" 2>&1 || {
        rm -rf $tools
        tail -n 20 "$folder.log" >&2
        exit 1
    }
fi

rm -rf "$folder"
mkdir -p "$folder/cas" "$folder/casd" "$folder/postgres" "$folder/socket"
chown postgres "$folder/postgres" "$folder/socket"
postgres() { setpriv --reuid=postgres --regid=postgres --clear-groups -- "$@"; }
bin=$(echo /usr/lib/postgresql/*/bin)
cd /
postgres "$bin/initdb" --auth=trust --no-sync --pgdata="$folder/postgres" >"$folder/postgres.log"
postgres "$bin/postgres" -D "$folder/postgres" -p "$database" -k "$folder/socket" -c fsync=off \
    -c listen_addresses=127.0.0.1 >>"$folder/postgres.log" 2>&1 &
# Asks again until something answers; what does not in a minute is broken.
await() {
    for _ in $(seq 240); do
        if "$@" >/dev/null 2>&1; then return; fi
        sleep 0.25
    done
    step "no answer: $*"
    tail -n 20 "$folder"/*.log >&2
    exit 1
}
listens() { python3 -c 'import socket, sys; socket.create_connection(("127.0.0.1", int(sys.argv[1])))' "$1"; }
await postgres "$bin/psql" -h 127.0.0.1 -p "$database" -c 'SELECT 1' postgres
url=postgresql+psycopg://postgres@127.0.0.1:$database/postgres
cat >"$folder/server.yml" <<YAML
server:
  - !channel
    address: "127.0.0.1:$server"
    insecure-mode: true
authorization:
  method: none
connections:
  - !sql-connection &sql
    connection-string: $url
storages:
  - !disk-storage &cas
    path: $folder/cas
caches:
  - !lru-action-cache &actions
    storage: *cas
    max-cached-refs: 10000
    allow-updates: true
    cache-failed-actions: false
schedulers:
  - !sql-scheduler &scheduler
    sql: *sql
    action-cache: *actions
    storage: *cas
    property-set: !dynamic-property-set
      match-property-keys: [OSFamily, ISA]
      wildcard-property-keys: [container-image, persistentWorkerKey]
    assigners:
      - !priority-age-assigner
        count: 1
        interval: 0.1
        priority-assignment-percentage: 100
instances:
  - name: ""
    services:
      - !action-cache
        cache: *actions
      - !execution
        scheduler: *scheduler
      - !cas
        storage: *cas
      - !bytestream
        storage: *cas
thread-pool-size: 200
maximum-concurrent-rpcs: 2000
YAML
$tools/bin/bgd migrate apply "$url" >"$folder/migrate.log" 2>&1
$tools/bin/bgd server start "$folder/server.yml" >"$folder/server.log" 2>&1 &
await listens "$server"
/usr/bin/buildbox-casd --bind="127.0.0.1:$cas" --cas-remote="http://127.0.0.1:$server" \
    --ac-remote="http://127.0.0.1:$server" "$folder/casd" >"$folder/casd.log" 2>&1 &
await listens "$cas"
/usr/bin/buildbox-worker --bots-remote="http://127.0.0.1:$server" \
    --cas-remote="http://127.0.0.1:$cas" --buildbox-run=/usr/bin/buildbox-run-hosttools \
    --concurrent-jobs=2 --platform=OSFamily=linux pylayer >"$folder/worker.log" 2>&1 &
echo ready
cat >/dev/null
