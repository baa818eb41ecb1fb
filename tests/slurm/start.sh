#!/usr/bin/env bash
# A Slurm of one node, this machine, for the tests of --executor slurm: `sudo tests/slurm/start.sh` (Debian, as root).
# After it, `pytest -m slow tests/integration/test_executors_slurm.py` also tests real jobs.
set -euo pipefail
mark="# written by the harness's tests"
if [ -f /etc/slurm/slurm.conf ] && ! grep -q "$mark" /etc/slurm/slurm.conf; then
  echo "/etc/slurm/slurm.conf is there: this machine has a Slurm of its own, which is left alone" >&2
  exit 1
fi
command -v slurmctld >/dev/null || apt-get install -y -q --no-install-recommends slurm-wlm munge >/dev/null

mkdir -p /etc/slurm /run/munge /var/spool/slurmctld /var/spool/slurmd /var/log/slurm
[ -f /etc/munge/munge.key ] || /usr/sbin/mungekey --create
chown -R munge: /etc/munge /run/munge /var/log/munge /var/lib/munge
pgrep -x munged >/dev/null || runuser -u munge -- /usr/sbin/munged

cat >/etc/slurm/slurm.conf <<CONF
$mark
ClusterName=one
SlurmctldHost=$(hostname -s)
SlurmUser=root
AuthType=auth/munge
StateSaveLocation=/var/spool/slurmctld
SlurmdSpoolDir=/var/spool/slurmd
SlurmctldLogFile=/var/log/slurm/slurmctld.log
SlurmdLogFile=/var/log/slurm/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
MpiDefault=none
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$(($(free -m | awk '/^Mem/ {print $2}') * 9 / 10))
PartitionName=all Nodes=$(hostname -s) Default=YES MaxTime=INFINITE State=UP
CONF
pgrep -x slurmctld >/dev/null || slurmctld
pgrep -x slurmd >/dev/null || slurmd
for _ in $(seq 30); do
  sinfo --noheader 2>/dev/null | grep -q idle && break
  sleep 1
done
sinfo
