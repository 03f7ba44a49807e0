# What `tests/aarch64/run` and `tests/windows/run` share. The caller has set `target`, the triple that it is about.

step() {
  printf '\n$ %s\n' "$*"
  "$@"
}

# Says loudly that this machine cannot do it, and goes on.
not_run() {
  printf 'NOT RUN on %s: %s\n' "$target" "$1"
  exit 0
}

# The programs before `--`, else the Debian packages after it.
need_programs() {
  local missing=no
  while [ "$1" != -- ]; do
    command -v "$1" >/dev/null || missing=yes
    shift
  done
  shift
  [ "$missing" = no ] ||
    { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@"; } >/dev/null 2>&1 ||
    not_run "it needs $*, which cannot be installed here"
}

# Whether the standard library of a target is here, or can be had.
has_target() {
  rustup target list --installed 2>/dev/null | grep -q "^$1" || timeout 120 rustup target add "$1" >/dev/null 2>&1
}

need_target() {
  has_target "$target" || not_run "its standard library is not installed here"
}
