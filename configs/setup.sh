# Sourced by sample_data/run and tests/run from the project's root: a virtual environment in .venv with smearscan in it.
# Before it set extras ("[test]", or empty) and programs (PROGRAM:DEBIAN_PACKAGE ..., or empty): those are installed where
# that can be done, and what needs them says that it is skipped where not.

python=
for candidate in python3.12 python3.11 python3; do
  if command -v "$candidate" >/dev/null 2>&1 &&
     "$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
    python=$candidate; break
  fi
done
[ -n "$python" ] || { echo "smearscan needs Python 3.11 or 3.12 with its venv module (Debian: apt-get install python3-venv)" >&2; exit 1; }

# PostgreSQL's programs are kept off PATH by Debian, in a folder of their version.
has_program() {
  command -v "$1" >/dev/null 2>&1 && return
  for held in /usr/lib/postgresql/*/bin/"$1"; do [ -x "$held" ] && return; done
  return 1
}

# OpenCV's wheel links to two system libraries that desktops have and bare servers lack.
missing= wanted=
ldconfig -p 2>/dev/null | grep -q 'libGL\.so\.1' || missing="$missing libgl1"
ldconfig -p 2>/dev/null | grep -q 'libglib-2\.0\.so\.0' || missing="$missing libglib2.0-0"
for need in $programs; do
  has_program "${need%%:*}" || wanted="$wanted ${need##*:}"
done
if [ -n "$missing$wanted" ] && [ "$(uname)" = Linux ]; then
  root=; [ "$(id -u)" = 0 ] || root=sudo
  if command -v apt-get >/dev/null 2>&1 && { [ -z "$root" ] || command -v sudo >/dev/null 2>&1; }; then
    echo "installing system packages:$missing$wanted"
    install() { $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null; }
    $root apt-get update -qq || :  # what it knows already may do
    [ -z "$missing" ] || install $missing || { echo "apt-get could not install:$missing" >&2; exit 1; }
    for package in $wanted; do install "$package" || :; done  # each by itself: not every system has them all
  elif [ -n "$missing" ]; then
    echo "please install these system packages first:$missing" >&2; exit 1
  fi
fi
for need in $programs; do
  has_program "${need%%:*}" || echo "without ${need%%:*} (Debian: ${need##*:}) the tests that need it are skipped" >&2
done

[ -x .venv/bin/python ] || "$python" -m venv .venv
# The stamp spares a second run the resolver; it holds everything that decides what is installed.
stamp=$(cat pyproject.toml configs/constraints.txt | cksum)" $extras"
if [ "$(cat .venv/smearscan.stamp 2>/dev/null)" != "$stamp" ]; then
  echo "installing smearscan$extras into .venv (torch is large: some minutes the first time)"
  .venv/bin/python -m pip install -q --disable-pip-version-check -c configs/constraints.txt -e ".$extras" || exit 1
  printf '%s' "$stamp" > .venv/smearscan.stamp
fi
