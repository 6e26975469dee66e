# SPDX-License-Identifier: MIT
# shellcheck shell=bash
#
# What the scripts of this folder share. Each is called with a folder of the file system under test
# and the effort: "short" (seconds, for make test) or "long".

set -u
dir=$1/${0##*/}
dir=${dir%.sh}
effort=$2
scratch=/tmp/${dir##*/} # on tmpfs: what is to be compared with the file system under test
failed=0
mkdir -p "$dir" "$scratch"
cd "$dir" || exit 1

# pick SHORT LONG: what goes with the effort.
pick() {
	if [ "$effort" = long ]; then echo "$2"; else echo "$1"; fi
}

ok() { echo "ok $1"; }

not_ok() { # NAME WHAT
	echo "not ok $1: $(tr '\n' ' ' <<<"$2" | tail -c 600)"
	failed=1
}

# check NAME COMMAND...: the command must succeed.
check() {
	local name=$1 text
	shift
	if text=$("$@" 2>&1); then ok "$name"; else not_ok "$name" "$*: status $?, said: $text"; fi
}

# same NAME EXPECTED SEEN
same() {
	if [ "$2" = "$3" ]; then ok "$1"; else not_ok "$1" "expected $2, seen $3"; fi
}

finish() {
	cd /
	rm -rf "$dir" "$scratch"
	exit $failed
}
