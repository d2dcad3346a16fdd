#!/usr/bin/env bash
# slurm/hydrajob.sbatch under a real Slurm: the quickstart experiment with both launchers, a job whose time runs out
# and one that is cancelled; each goes on where it stopped.
#   slurm_test.sh SOURCE_DIR HYDRAJOB PYTHON
set -euo pipefail
source_dir=$1
hydrajob=$2
python=$3

skip() {
  echo "skipped: $*"
  exit 77
}

up=${HJ_SHARED:-$source_dir/../shared}/slurm/slurm_up.sh
[ -x "$up" ] || skip "no $up to bring Slurm up with (HJ_SHARED)"
[ "$(id -u)" = 0 ] || skip "bringing Slurm up needs root"
for program in slurmctld slurmd munged; do
  PATH=$PATH:/usr/sbin command -v "$program" >/dev/null || skip "$program is not installed"
done

# Short: PMIx's sockets lie below it.
work=$(mktemp -d /tmp/hjslurmXXXXXX)
chmod 755 "$work" # munged runs as a user of its own
export SLURM_LAB=$work/lab NODES=1 CPUS=4 MEM=4000 GPUS=0 CTLPORT=26817 DPORT=26818
cleanup() {
  if [ -n "${SLURM_CONF:-}" ]; then # jobs outlive Slurm's daemons
    squeue --noheader --format %i 2>/dev/null | xargs -r scancel --signal=KILL --full 2>/dev/null || true
    squeue --noheader --format %i 2>/dev/null | xargs -r scancel 2>/dev/null || true
    for _ in $(seq 50); do
      [ -n "$(squeue --noheader 2>/dev/null)" ] || break
      sleep 0.2
    done
  fi
  "$up" down >/dev/null 2>&1 || true
  rm -rf "$work"
}
trap cleanup EXIT
"$up" up
# shellcheck source=/dev/null
. "$SLURM_LAB/env.sh"

export HJ_PROGRAM=$hydrajob
mkdir -p "$work/run"
cd "$work/run"
"$hydrajob" make-model "$source_dir/configs/models/tiny.yaml" -o tiny.h5
export HYDRAJOB_MODEL=$work/run/tiny.h5

fail() {
  echo "FAILED: $*" >&2
  cat ./*.out >&2 || true
  scontrol show jobs >&2 || true
  tail -n 40 "$SLURM_LAB"/log/slurmd.n1.log >&2 || true
  exit 1
}

# submit [sbatch options] -- STORE [hydrajob options]: the job's id
submit() {
  local options=()
  while [ "$1" != -- ]; do
    options+=("$1")
    shift
  done
  local store=$2
  shift 2
  sbatch --parsable -n 2 -o "%j.out" "${options[@]}" "$source_dir/slurm/hydrajob.sbatch" \
    "$source_dir/configs/quickstart.yaml" --store "$store" "$@"
}

state() { scontrol --oneliner show job "$1" | sed 's/.*JobState=\([A-Z]*\).*/\1/'; }

# wait_for JOB SECONDS STATE…: until it is in one of these
wait_for() {
  local job=$1 seconds=$2 now
  shift 2
  for _ in $(seq $((seconds * 5))); do
    now=$(state "$job")
    for wanted in "$@"; do
      [ "$now" != "$wanted" ] || return 0
    done
    sleep 0.2
  done
  fail "job $job is $now after $seconds s, expected $*"
}

# expect STORE COUNT: so many runs, all ok
expect() {
  "$python" - "$1" "$2" <<'PY' || fail "$1 does not hold $2 finished runs"
import sys
import h5py
with h5py.File(sys.argv[1]) as file:
    statuses = [s.decode() if isinstance(s, bytes) else s for s in file["runs/status"][:]]
    runs = {r for r in file["runs/run_id"][:]}
print(f"{sys.argv[1]}: {len(runs)} runs, {sorted(set(statuses))}")
sys.exit(0 if set(statuses) == {"ok"} and len(runs) == len(statuses) == int(sys.argv[2]) else 1)
PY
}

segments() { find "$1.d/segments" -type f ! -name '*.tmp.*' 2>/dev/null | wc -l; }

quickstart_runs=$("$hydrajob" "$source_dir/configs/quickstart.yaml" --list | wc -l)

for launcher in mpirun srun; do
  echo "== the quickstart experiment under $launcher"
  job=$(HJ_LAUNCHER=$launcher submit -- "$launcher.h5")
  wait_for "$job" 120 COMPLETED FAILED CANCELLED TIMEOUT
  [ "$(state "$job")" = COMPLETED ] || fail "job $job under $launcher: $(state "$job")"
  expect "$launcher.h5" "$quickstart_runs"
done

echo "== tasks that do not find each other are refused"
if output=$(srun --mpi=none -n 2 "$hydrajob" "$source_dir/configs/quickstart.yaml" --store lone.h5 2>&1); then
  fail "srun --mpi=none was accepted"
fi
echo "$output" | grep -q "2 tasks that do not find each other" || fail "srun --mpi=none said: $output"
[ ! -e lone.h5 ] || fail "a lone task wrote a store"

# Long enough that the end comes in the middle: every run a second or more.
long=(--only batch=4 --set iterations=100 --set max_iterations=100 --set new_tokens=64)
long_runs=$("$hydrajob" "$source_dir/configs/quickstart.yaml" --list "${long[@]}" | wc -l)
for launcher in mpirun srun; do
  echo "== a warning before the end queues the job again ($launcher)"
  job=$(HJ_LAUNCHER=$launcher submit --time 10 -- "warned-$launcher.h5" "${long[@]}")
  for _ in $(seq 300); do
    [ "$(segments "warned-$launcher.h5")" -lt 2 ] || break
    sleep 0.2
  done
  scancel --batch --signal=USR2 "$job"
  wait_for "$job" 60 PENDING
  grep -q "stopping: SIGUSR2" "$job.out" || fail "job $job did not stop for the warning"
  # Slurm holds a requeued job back for two minutes. A start in the second in which the first one ended would be taken
  # for that one, which is revoked ("already killed, do not launch").
  sleep 3
  scontrol update "JobId=$job" StartTime=now
  wait_for "$job" 240 COMPLETED FAILED CANCELLED TIMEOUT
  [ "$(state "$job")" = COMPLETED ] || fail "job $job under $launcher: $(state "$job")"
  grep -q "start 2" "$job.out" || fail "job $job was not started again"
  expect "warned-$launcher.h5" "$long_runs"
done

echo "== a cancelled job loses nothing"
job=$(submit -- cancelled.h5 "${long[@]}")
for _ in $(seq 300); do
  [ "$(segments cancelled.h5)" -lt 2 ] || break
  sleep 0.2
done
scancel "$job"
wait_for "$job" 60 CANCELLED
for _ in $(seq 100); do
  [ -n "$(squeue --noheader --jobs "$job" 2>/dev/null)" ] || break
  sleep 0.2
done
job=$(submit -- cancelled.h5 "${long[@]}")
wait_for "$job" 240 COMPLETED FAILED CANCELLED TIMEOUT
expect cancelled.h5 "$long_runs"
grep -q " done before" "$job.out" || fail "job $job did not go on where the cancelled one stopped"
echo "all as expected"
