#!/bin/bash
# The completion for bash, as bash itself would call it.
set -eu
cd "$(dirname "$0")/.."
failed=0

# expect "WORDS…" "COMPLETIONS…": the last word is the one that is completed.
expect() {
	read -ra COMP_WORDS <<< "$1"
	[[ $1 == *" " ]] && COMP_WORDS+=("")
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	COMPREPLY=()
	"_${COMP_WORDS[0]}" || true # says whether there is any
	if [[ ${COMPREPLY[*]-} != "$2" ]]; then
		echo "\"$1\" completes to \"${COMPREPLY[*]-}\", not to \"$2\"" >&2
		failed=1
	fi
}

. docs/completion/pingd
. docs/completion/pingctl
expect "pingd --trust" "--trusted-proxies"
expect "pingd --log-format " "logfmt json"
expect "pingd --config Make" "Makefile"
expect "pingd --listen " ""
expect "pingctl wi" "windows"
expect "pingctl --utc top --or" "--order"
expect "pingctl top --order = pi" "pings"
expect "pingctl windows 10.0.0.1 --fr" "--from"
expect "pingctl windows --ord" ""
exit $failed
