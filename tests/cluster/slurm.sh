#!/usr/bin/env bash
# A real SLURM on this machine (apt-get install slurm-wlm munge; as root), and a run through it by dask-jobqueue:
# the same as in this process, to the last bit, every connection encrypted. From the top of a checkout: tests/cluster/slurm.sh [PYTHON]. Exit 3: it cannot be started here.
set -euo pipefail
cd "$(dirname "$0")/../.."
python=${1:-.venv/bin/python}
python=$(cd "$(dirname "$python")" && pwd)/$(basename "$python")
place=$(mktemp -d)
pids=()
stop() {
  # Only what was started here, last first.
  for ((i = ${#pids[@]} - 1; i >= 0; i--)); do kill "${pids[i]}" 2> /dev/null && wait "${pids[i]}" || true; done
  rm -rf "$place"
}
trap stop EXIT
for program in slurmctld slurmd munged; do
  command -v $program > /dev/null || { echo "no $program: apt-get install slurm-wlm munge"; exit 3; }
done
"$python" -c "import dask_jobqueue" || { echo "no dask-jobqueue: pip install 'nudipole[cluster]'"; exit 3; }

export SLURM_CONF=$place/slurm.conf
node=$(hostname -s)
chmod 755 "$place"
mkdir "$place/state" "$place/spool" "$place/logs" "$place/munge"
head -c 1024 /dev/urandom > "$place/munge/key"
chmod 700 "$place/munge"
chmod 400 "$place/munge/key"
chmod 711 "$place/munge"
cat > "$SLURM_CONF" << END
ClusterName=one
SlurmctldHost=$node(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=$(id -un)
SlurmdUser=$(id -un)
AuthInfo=socket=$place/munge/socket
StateSaveLocation=$place/state
SlurmdSpoolDir=$place/spool
SlurmctldPidFile=$place/slurmctld.pid
SlurmdPidFile=$place/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
MpiDefault=none
NodeName=$node NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=4000 State=UNKNOWN
PartitionName=short Nodes=$node Default=YES MaxTime=01:00:00 State=UP
END
munged --foreground --force --key-file="$place/munge/key" --socket="$place/munge/socket" \
  --pid-file="$place/munge/pid" --seed-file="$place/munge/seed" --log-file="$place/munge/log" 2> /dev/null &
pids+=($!)
for _ in $(seq 100); do
  [ -S "$place/munge/socket" ] && break
  sleep 0.1
done
slurmctld -D > "$place/logs/slurmctld" 2>&1 &
pids+=($!)
slurmd -D -N "$node" > "$place/logs/slurmd" 2>&1 &
pids+=($!)
for _ in $(seq 60); do
  sinfo --noheader --format=%T 2> /dev/null | grep -q idle && break
  sleep 0.5
done
sinfo | grep -q idle || { tail -20 "$place"/logs/*; exit 3; }
sinfo

cat > "$place/slurm.toml" << END
kind = "slurm"
maximum = 2
timeout = 120
cores = 1
memory = "1500 MB"
queue = "short"
walltime = "00:10:00"
interface = "lo"
python = "$python"
job_script_prologue = ["cd $PWD"]
log_directory = "$place/logs"
[tls]
ca_file = "ca.pem"
cert = "cert.pem"
key = "key.pem"
END
"$python" - "$place" << 'END'
import sys
from pathlib import Path

import trustme

folder, authority = Path(sys.argv[1]), trustme.CA()
issued = authority.issue_cert("127.0.0.1", "localhost")
authority.cert_pem.write_to_path(folder / "ca.pem")
issued.cert_chain_pems[0].write_to_path(folder / "cert.pem")
issued.private_key_pem.write_to_path(folder / "key.pem")
END
"$python" run.py simulate --sample nd --events 4000 --files 2 --out "$place/nd"
process() { "$python" run.py process "$place/nd/*.root" --chunksize 500 -o "$place/$1.zip" "${@:2}"; }
process here > /dev/null
process there --cluster "$place/slurm.toml" > /dev/null &
run=$!
for _ in $(seq 120); do
  squeue --noheader --states=R | grep -q . && break
  sleep 0.25
done
squeue
wait $run || { tail -n 30 "$place"/logs/*; exit 1; }
for _ in $(seq 40); do
  squeue --noheader | grep -q . || break
  sleep 0.25
done
! squeue --noheader | grep . || { echo "jobs are left behind"; exit 1; }
"$python" - "$place/here.zip" "$place/there.zip" << 'END'
import sys

from processors.templates import Templates

here, there = map(Templates.load, sys.argv[1:])
assert here.ledger == there.ledger
assert [*here.histograms] == [*there.histograms]
for name, histogram in here.histograms.items():
    assert histogram.view(flow=True).tobytes() == there.histograms[name].view(flow=True).tobytes(), name
print(f"same {len(here.ledger.rows)} chunks, same {len(here.histograms)} histograms, to the last bit")
END
