#!/usr/bin/env bash
# Build the container image and run it for real, on a machine without a container engine.
#
#   sudo tests/container/run.sh
#
# Needs Debian or Ubuntu, root, and the packages: buildah debootstrap curl iproute2 python3-pip util-linux. Takes about
# a minute, and another one the first time, for the base. No part of the usual tests. Settings:
#
#   BASE_IMAGE  the base to build on; the default is made by debootstrap from the mirror that apt uses
#   SUITE       the release of that base; the default is the machine's
#   IMAGE       the name of the result (default localhost/sentra:test); it and the base stay in buildah's storage
#
# Packages come from wheels that are downloaded first, checked against the locks; the build itself asks apt alone, for a compiler. What
# runs is what the image's configuration says: its command and environment, as process 1 of namespaces of its own, under
# its user and under one that it does not know, without privileges and without a network, on a read-only root with tmpfs
# on /tmp, /run and /var/log/sentra. See service.sh for what is asked of it.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
project=$(cd "$here/../.." && pwd)
suite=${SUITE:-$(. /etc/os-release && echo "$VERSION_CODENAME")}
base=${BASE_IMAGE:-localhost/debian-base:$suite}
image=${IMAGE:-localhost/sentra:test}
work=$(mktemp -d)
containers=()

say() { echo "container: $*"; }
fail() { say "FAILED: $*" >&2; exit 1; }

clean() {
  for container in "${containers[@]}"; do buildah rm "$container" >/dev/null || true; done
  rm -rf --one-file-system "$work"
}
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

container_of() {  # IMAGE: a container of it; its name is in $container
  container=$(buildah from --pull-never "$1")
  containers+=("$container")
}

make_base() {
  local mirror
  # shellcheck disable=SC2016  # apt-get expands it
  mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Codename: $suite" | head -n 1)
  [ -n "$mirror" ] || fail "apt has no source for $suite; set SUITE or BASE_IMAGE"
  say "making $base"
  debootstrap --variant=minbase --include=python3,python3-venv,ca-certificates "$suite" "$work/base" "$mirror" \
    >"$work/debootstrap.log" || { tail "$work/debootstrap.log" >&2; fail "debootstrap"; }
  rm -rf "$work/base/var/cache/apt"/* "$work/base/var/lib/apt/lists"/*
  container=$(buildah from scratch)
  containers+=("$container")
  tar -C "$work/base" -cf "$work/base.tar" .
  rm -rf --one-file-system "$work/base"
  buildah add -q "$container" "$work/base.tar" / >/dev/null
  rm "$work/base.tar"
  buildah config --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin --cmd bash "$container"
  buildah commit -q "$container" "$base" >/dev/null
}

download_wheels() {
  local python
  container_of "$base"
  python=$(buildah run --isolation chroot "$container" -- \
    python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
  say "downloading wheels for Python $python"
  for lock in requirements.lock requirements-build.lock; do
    python3 -m pip download -q --disable-pip-version-check --require-hashes --only-binary :all: \
      --python-version "$python" --dest "$work/wheels" -r "$project/$lock"
  done
}

build() {
  local revision version
  revision=$(git -C "$project" rev-parse HEAD 2>/dev/null || echo unknown)
  version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$project/sentra/__init__.py")
  say "building $image"
  buildah build -q --isolation chroot --pull-never --build-context "wheels=$work/wheels" \
    --build-arg BASE_IMAGE="$base" --build-arg PIP_NO_INDEX=1 \
    --build-arg VERSION="$version" --build-arg REVISION="$revision" \
    --tag "$image" --file "$project/Containerfile" "$project" >"$work/build.log" 2>&1 \
    || { tail -n 40 "$work/build.log" >&2; fail "the build"; }
  buildah inspect --type image "$image" | python3 "$here/configuration.py" "$work" "$version" "$revision"
}

check_content() {  # ROOT: nothing in it that only a build needs, nothing that the service could change
  local left
  left=$(find "$1" -xdev -type d -path '*/site-packages/*' \( -name pip -o -name tests -o -name geodata \))
  [ -z "$left" ] || fail "the image holds $left"
  left=$(find "$1/opt/sentra" \( -not -uid 0 -o -perm /022 -not -type l \) -print -quit)
  [ -z "$left" ] || fail "others than root may write $left"
}

size_of() { buildah images --format '{{.Size}}' "$1"; }

[ "$(id -u)" = 0 ] || fail "needs root"
buildah inspect --type image "$base" >/dev/null 2>&1 || make_base
download_wheels
build
container_of "$image"
root=$(buildah mount "$container")
check_content "$root"
user=$(cat "$work/user")
for who in "$user" 1000650000:0; do
  say "running as $who"
  "$here/service.sh" "$root" "$who" "$work" "$project/tests/payloads" || fail "the service under $who"
done
say "size: $(size_of "$image"), of which the base has $(size_of "$base")"
say "passed"
