#!/bin/sh
# Fetches the pinned packages of a language and builds what must be built, once: test/third-party/prepare.sh python|rust|…
# Prints the folder in .cache/third-party that holds the result, under a hash of what it is made from. Ends with 3 where this machine has not what it takes.
set -eu
language=$1
here=$(cd "$(dirname "$0")/$language" && pwd)
cache=$(cd "$here/../../.." && pwd)/.cache/third-party

need() {
	command -v "$1" >/dev/null || lack "there is no $1"
}
lack() {
	echo "$1" >&2
	exit 3
}

# Quiet, unless it fails; then that is what is lacking.
fetch() {
	"$@" >"$unfinished/log" 2>&1 || lack "'$*' failed: $(tail -n 3 "$unfinished/log")"
}

case $language in
python)
	need python3
	python3 -m pip --version >/dev/null 2>&1 || lack 'Python has no pip'
	inputs=requirements.txt
	variant=$(python3 -c 'import sysconfig; print(sysconfig.get_platform(), sysconfig.get_python_version())')
	;;
rust)
	need cargo
	inputs='Cargo.toml Cargo.lock src/main.rs'
	variant=$(cargo --version)
	;;
java)
	need javac
	need mvn
	inputs=Peer.java
	variant=com.datadoghq:dd-java-agent:1.68.1
	;;
node)
	need npm
	inputs='package.json package-lock.json'
	variant=$(uname -m)
	;;
go)
	need go
	inputs='go.mod go.sum main.go'
	variant=$(go version)
	;;
dd-trace)
	need npm
	inputs='package.json package-lock.json'
	variant=$(uname -m)
	;;
*)
	echo "prepare.sh: unknown language '$language'" >&2
	exit 2
	;;
esac

cd "$here"
folder=$cache/$language-$({ cat $inputs; echo "$variant"; } | sha256sum | cut -c1-16)
mkdir -p "$cache"
exec 9>"$cache/.$language.lock"
flock 9
if [ ! -d "$folder" ]; then
	echo "third-party: preparing $language (once) ..." >&2
	# Under a name of its own, then renamed: an interrupted set-up leaves no half folder.
	unfinished=$folder.unfinished
	rm -rf "$unfinished"
	mkdir "$unfinished"
	case $language in
	python)
		fetch python3 -m pip install --quiet --disable-pip-version-check --no-deps --only-binary :all: --target "$unfinished" -r requirements.txt
		;;
	rust)
		fetch cargo build --quiet --locked --target-dir "$unfinished/target"
		mv "$unfinished/target/debug/libdd-peer" "$unfinished"
		rm -rf "$unfinished/target"
		;;
	java)
		fetch mvn -q -B dependency:copy "-Dartifact=$variant" -Dmdep.stripVersion=true "-DoutputDirectory=$unfinished"
		fetch javac -cp "$unfinished/dd-java-agent.jar" -d "$unfinished" Peer.java
		;;
	go)
		CGO_ENABLED=0 fetch go build -mod=readonly -trimpath -o "$unfinished/go-peer" .
		;;
	dd-trace)
		cp $inputs "$unfinished"
		cd "$unfinished"
		fetch npm ci --omit=optional --no-audit --no-fund --loglevel=error
		;;
	node)
		cp $inputs "$unfinished"
		cd "$unfinished"
		fetch npm ci --no-audit --no-fund --loglevel=error
		;;
	esac
	mv "$unfinished" "$folder"
fi
echo "$folder"
