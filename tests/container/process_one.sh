#!/usr/bin/env bash
# Become the process 1 of a container: called by service.sh in new mount, process and network namespaces.
#
#   process_one.sh ROOT UID:GID NAME=VALUE... -- COMMAND...
set -euo pipefail
root=$1 user=$2
shift 2
environment=()
while [ "$1" != -- ]; do environment+=("$1"); shift; done
shift

ip link set lo up
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
owner="uid=${user%:*},gid=${user#*:}"
mount -t tmpfs -o "nosuid,nodev,noexec,size=256m,mode=1777" tmpfs "$root/tmp"
mount -t tmpfs -o "nosuid,nodev,noexec,size=64m,mode=0755,$owner" tmpfs "$root/run"
mount -t tmpfs -o "nosuid,nodev,noexec,size=64m,mode=0700,$owner" tmpfs "$root/var/log/sentra"
mount -t proc -o nosuid,nodev,noexec proc "$root/proc"
mount -t tmpfs -o "nosuid,noexec,size=64k,mode=0755" tmpfs "$root/dev"
for device in null zero full random urandom; do
  touch "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done

# The bounding set keeps what chroot(8) itself needs; a user other than root has none of it.
exec "$(command -v setpriv)" --no-new-privs --inh-caps=-all --bounding-set=-all,+sys_chroot,+setuid,+setgid \
  "$(command -v env)" -i "${environment[@]}" \
  "$(command -v chroot)" --userspec="$user" --groups= "$root" "$@"
