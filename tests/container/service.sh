#!/usr/bin/env bash
# Run an unpacked image and hold it to what docs/operations.md promises. Called by run.sh.
#
#   service.sh ROOT UID:GID FOLDER PAYLOADS
#
# FOLDER holds what configuration.py wrote. Asked: ready in time without compiling rules; no privileges and no writable
# root; a captured request is allowed, one with a secret is blocked and the secret is in no record; probes and metrics;
# `sentra reload` inside finds the service; SIGTERM ends process 1 with exit code 0 and everything written.
set -euo pipefail
root=$1 user=$2 folder=$3 payloads=$4
here=$(cd "$(dirname "$0")" && pwd)
ready_seconds=60
stop_seconds=15
token=container-test-token
mapfile -d '' -t environment <"$folder/environment"
mapfile -d '' -t command <"$folder/command"
environment+=(
  HOME=/ SENTRA_WORKERS=2 SENTRA_METRICS_DIR=/run/sentra-metrics STRICT_AUTH_ALLOWED_TOKENS="$token"
  LOG_FILE=/var/log/sentra/telemetry.jsonl AUDIT_LOG_FILE=/var/log/sentra/audit.jsonl
)

fail() {
  echo "container: FAILED: $*" >&2
  tail -n 30 "$folder/log" >&2
  exit 1
}

unshare --mount --pid --net --ipc --uts --fork --kill-child --propagation private \
  "$here/process_one.sh" "$root" "$user" "${environment[@]}" -- "${command[@]}" >"$folder/log" 2>&1 &
outside=$!
began=$(date +%s%N)
trap 'kill -KILL "${one:-$outside}" 2>/dev/null || true; wait "$outside" 2>/dev/null || true' EXIT

within() {  # SECONDS COMMAND...: until it succeeds, as long as the service runs
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    kill -0 "$outside" 2>/dev/null || fail "the service ended"
    [ "$SECONDS" -lt "$end" ] || fail "not in time: $*"
    sleep 0.2
  done
}
started() { one=$(cat "/proc/$outside/task/$outside/children") && one=${one%% *} && [ -n "$one" ]; }
ask() { nsenter --target "$one" --net curl --silent --show-error --fail --max-time 5 "$@"; }
ready() { ask "http://127.0.0.1:8080/readyz" >/dev/null 2>&1; }
judge() {  # FILE: the answer to the request in it
  ask "http://127.0.0.1:8080/analyze-tool-execution?api-version=2025-05-01" \
    --header "Authorization: Bearer $token" --header "Content-Type: application/json" --data-binary "@$1"
}
status() { sed -n "s/^$1:[[:space:]]*\([^[:space:]]*\).*/\1/p" "/proc/$one/status"; }
lines() { [ "$(wc -l <"/proc/$one/root/var/log/sentra/$1")" = "$2" ]; }

within 5 started
within $ready_seconds ready
elapsed=$((($(date +%s%N) - began) / 1000000))
ticks=$(awk '{print $14 + $15}' "/proc/$one/stat")
echo "container: ready after $elapsed ms; process 1 took $((ticks * 1000 / $(getconf CLK_TCK))) ms of processor time"
compiled=$(find "/proc/$one/root/tmp" -name '*.hsdb')
[ -z "$compiled" ] || fail "rules were compiled at the start: those in the image were not used"

[ "$(status Uid)" = "${user%:*}" ] || fail "process 1 runs as $(status Uid)"
[ "$(sed -n 's/^NSpid:.*[[:space:]]//p' "/proc/$one/status")" = 1 ] || fail "the service is not process 1"
[ "$(status NoNewPrivs)" = 1 ] || fail "privileges could be gained"
for kind in CapInh CapPrm CapEff CapAmb; do
  [ "$(status $kind)" = 0000000000000000 ] || fail "$kind is $(status $kind)"
done
! touch "/proc/$one/root/opt/sentra/written" 2>/dev/null || fail "the root can be written to"

allowed=$(judge "$payloads/captured-create-table.json")
[[ $allowed == *'"blockAction":false'* ]] || fail "a captured request: $allowed"
secret=$(printf 'AKIA%s' Q7RZ4XK2MWT5YB3N)
python3 - "$payloads/captured-send-email.json" "$secret" >"$folder/blocked.json" <<'PYTHON'
import json, sys
request = json.load(open(sys.argv[1]))
request["inputValues"]["Body"] = f"the key is {sys.argv[2]}"
json.dump(request, sys.stdout)
PYTHON
blocked=$(judge "$folder/blocked.json")
[[ $blocked == *'"blockAction":true'*'"reasonCode":201'* ]] || fail "a request with a secret: $blocked"
[ "$(nsenter --target "$one" --net curl -s -o /dev/null -w '%{http_code}' -X POST --data '{}' \
  "http://127.0.0.1:8080/analyze-tool-execution?api-version=2025-05-01")" = 401 ] || fail "no bearer was asked for"
[[ $(ask "http://127.0.0.1:8080/healthz") == *'"configHash"'* ]] || fail "/healthz"
ask "http://127.0.0.1:8080/livez" >/dev/null || fail "/livez"
[[ $(ask "http://127.0.0.1:8080/metrics") == *'sentra_requests_total'* ]] || fail "/metrics"
[[ $(nsenter --target "$one" --mount --pid --net --root --wd env -i "${environment[@]}" sentra reload) \
  == "process 1 was told to reload" ]] || fail "sentra reload"
within 5 grep --quiet "nothing to reload" "$folder/log"
within 5 lines audit.jsonl 1
grep --quiet '"secrets' "/proc/$one/root/var/log/sentra/audit.jsonl" || fail "the audit record names no rule"
! grep --recursive --quiet "$secret" "/proc/$one/root/var/log/sentra" "$folder/log" || fail "the secret was recorded"

kill -TERM "$one"
began=$SECONDS
while kill -0 "$outside" 2>/dev/null && [ $((SECONDS - began)) -lt $stop_seconds ]; do sleep 0.05; done
kill -0 "$outside" 2>/dev/null && fail "still runs $stop_seconds s after SIGTERM"
code=0
wait "$outside" || code=$?
trap - EXIT
[ "$code" = 0 ] || fail "exit code $code after SIGTERM"
! grep --quiet Traceback "$folder/log" || fail "a traceback in the log"
