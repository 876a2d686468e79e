#!/usr/bin/env bash
# Builds the real control plane that the tests talk to, from Go modules.
# Cold: about 8 minutes on 2 cores; afterwards Go's cache makes it seconds. The tests call this by themselves.
# Usage: build.sh [OUTPUT_DIR [NAME...]]   (default: target/controlplane/bin and every program below)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:-$here/../../target/controlplane/bin}
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$here"
shift || true
# Our own programs are the folders here; one that has a go.mod of its own keeps its dependencies apart from Kubernetes'.
[ $# -gt 0 ] || set -- etcd etcdctl kubectl kube-apiserver kube-controller-manager sample-apiserver $(ls -d -- */ | tr -d /)

# Without these, a binary built from the module cache would call itself v0.0.0-master.
component=k8s.io/component-base/version
version="-X $component.gitVersion=v1.36.3 -X $component.gitMajor=1 -X $component.gitMinor=36"

for name in "$@"; do
    if [ "$name" = cert-manager ]; then
        # The CustomResourceDefinitions of the version in its go.mod; the lines with braces are its Helm chart's.
        echo "fetching $name" >&2
        crds=$(cd "$name" && go mod download -json github.com/cert-manager/cert-manager | sed -n 's/^\t"Dir": "\(.*\)",$/\1/p')/deploy/crds
        for kind in certificates issuers; do
            echo ---
            sed '/{{/d' "$crds/crd-$kind.yaml"
        done >"$out/$name"
        continue
    fi
    case "$name" in
    etcd) package=go.etcd.io/etcd/server/v3 ;;
    etcdctl) package=go.etcd.io/etcd/etcdctl/v3 ;;
    kubectl | kube-apiserver | kube-controller-manager) package=k8s.io/kubernetes/cmd/$name ;;
    sample-apiserver) package=k8s.io/sample-apiserver ;;
    *)
        if [ ! -f "$name/main.go" ]; then
            echo "build.sh: no program is called $name" >&2
            exit 2
        fi
        package=./$name
        ;;
    esac
    module=.
    if [ -f "$name/go.mod" ]; then
        module=$name
        package=.
    fi
    echo "building $name" >&2
    (cd "$module" && go build -ldflags="-s -w $version" -o "$out/$name" "$package")
done
