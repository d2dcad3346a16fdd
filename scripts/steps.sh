# shellcheck shell=bash
# Sourced by the scripts: step headings, the total time, what Open MPI wants to be told as root.

step() {
  printf '\n== %s\n' "$*"
}

total_time() {
  printf '%d min %02d s' $((SECONDS / 60)) $((SECONDS % 60))
}

# The installer, unless the caller says that the machine is ready.
install_dependencies() {
  if [ "$1" = no ]; then
    echo "Dependencies: not looked at (--no-install)"
  else
    shift
    scripts/install_dependencies "$@"
  fi
}

allow_mpi_as_root() {
  if [ "$(id -u)" = 0 ]; then
    export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
  fi
}

# Fails with its message where only a reader of the whole output would notice otherwise.
die() {
  echo "$(basename "$0"): $1" >&2
  exit "${2:-1}"
}
