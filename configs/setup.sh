# Sourced by sample_data/run and tests/run from the project's root: a virtual environment in .venv with smearscan in it.
# Before it set extras ("[test]", or empty) and programs (PROGRAM:DEBIAN_PACKAGE, ..., or empty).

python=
for candidate in python3.12 python3.11 python3; do
  if command -v "$candidate" >/dev/null 2>&1 &&
     "$candidate" -c 'import sys, venv, ensurepip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null; then
    python=$candidate; break
  fi
done
[ -n "$python" ] || { echo "smearscan needs Python 3.11 or 3.12 with its venv module (Debian: apt-get install python3-venv)" >&2; exit 1; }

# OpenCV's wheel links to two system libraries that desktops have and bare servers lack.
missing=
ldconfig -p 2>/dev/null | grep -q 'libGL\.so\.1' || missing="$missing libgl1"
ldconfig -p 2>/dev/null | grep -q 'libglib-2\.0\.so\.0' || missing="$missing libglib2.0-0"
for need in $programs; do
  command -v "${need%%:*}" >/dev/null 2>&1 || missing="$missing ${need##*:}"
done
if [ -n "$missing" ] && [ "$(uname)" = Linux ]; then
  root=; [ "$(id -u)" = 0 ] || root=sudo
  if command -v apt-get >/dev/null 2>&1 && { [ -z "$root" ] || command -v sudo >/dev/null 2>&1; }; then
    echo "installing system packages:$missing"
    $root apt-get update -qq && $root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq $missing >/dev/null ||
      { echo "apt-get could not install:$missing" >&2; exit 1; }
  else
    echo "please install these system packages first:$missing" >&2; exit 1
  fi
fi

[ -x .venv/bin/python ] || "$python" -m venv .venv
# The stamp spares a second run the resolver; it holds everything that decides what is installed.
stamp=$(cat pyproject.toml configs/constraints.txt | cksum)" $extras"
if [ "$(cat .venv/smearscan.stamp 2>/dev/null)" != "$stamp" ]; then
  echo "installing smearscan$extras into .venv (torch is large: some minutes the first time)"
  .venv/bin/python -m pip install -q --disable-pip-version-check -c configs/constraints.txt -e ".$extras" || exit 1
  printf '%s' "$stamp" > .venv/smearscan.stamp
fi
