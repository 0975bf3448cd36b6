#!/usr/bin/env bash
# Runs the README's two commands on a bare Debian 12: a fresh chroot with nothing but Rust, and a clean
# clone of HEAD. As root, with debootstrap installed:
#
#   tests/bare-machine.sh DIR [STEP]...    the steps are those of ./x test
#
# DIR is made, and removed at the end. What each command took is printed.
set -euo pipefail
dir=${1:?usage: bare-machine.sh DIR [STEP]...}
shift
here=$(cd "$(dirname "$0")/.." && pwd)
[[ ! -e $dir ]] || { echo "$dir exists; name a directory that does not" >&2; exit 2; }

server=
clean_up() {
  [[ -z $server ]] || kill "$server" 2>/dev/null || true
  for at in opt/rust dev sys proc; do
    if mountpoint -q "$dir/$at"; then umount -l "$dir/$at"; fi
  done
  if ! grep -q " $dir/" /proc/self/mountinfo; then rm -rf --one-file-system "$dir"; fi
}
trap clean_up EXIT

mirror=$(apt-get indextargets --format '$(REPO_URI)' 'Release: bookworm' | head -n 1)
debootstrap --variant=minbase --include=ca-certificates bookworm "$dir" "$mirror" >/dev/null

# The chroot reaches the registries as this machine does.
rm "$dir/etc/apt/sources.list"
for file in /etc/resolv.conf /etc/hosts /etc/pip.conf /root/.npmrc /root/.cargo/config.toml \
  /etc/apt/sources.list /etc/apt/sources.list.d /etc/apt/apt.conf.d /etc/apt/auth.conf.d \
  /usr/local/share/ca-certificates /etc/ssl/certs; do
  if [[ -e $file ]]; then
    mkdir -p "$dir${file%/*}"
    cp -rL "$file" "$dir${file%/*}/" 2>/dev/null || true
  fi
done

mkdir -p "$dir/opt/rust"
mount --bind "$(rustc --print sysroot)" "$dir/opt/rust"
mount -t proc proc "$dir/proc"
for at in sys dev; do
  mount --rbind "/$at" "$dir/$at"
  # What is unmounted here stays mounted there.
  mount --make-rslave "$dir/$at"
done
git clone --quiet --no-hardlinks "$here" "$dir/root/httpout"

# Becomes the command, so that it can be ended by its number.
inside() {
  exec chroot "$dir" /usr/bin/env -i HOME=/root LANG=C.UTF-8 TERM=dumb CI=true \
    PATH=/opt/rust/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    bash -c 'cd /root/httpout && exec "$@"' bash "$@"
}

echo '== the first command: ./x run www --wdir www --port 18080'
SECONDS=0
(inside ./x run www --wdir www --port 18080) >"$dir/root/server.log" 2>&1 &
server=$!
until curl -sf -o /dev/null -T "$0" http://127.0.0.1:18080/upload; do
  kill -0 "$server" 2>/dev/null || { cat "$dir/root/server.log"; exit 1; }
  sleep 1
done
curl -sf http://127.0.0.1:18080/upload | cmp - "$0"
echo "it serves what was uploaded after $SECONDS s"
kill "$server"
wait "$server" || { cat "$dir/root/server.log"; exit 1; }
server=

echo '== the second command: ./x test'
SECONDS=0
(inside ./x test "$@")
echo "passed after $SECONDS s"
