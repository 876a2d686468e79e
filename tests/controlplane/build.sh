#!/usr/bin/env bash
# Builds the real control plane that the tests talk to, from Go modules, into target/controlplane/bin.
# Cold: about 7 minutes on 2 cores; afterwards Go's cache makes it seconds. Usage: build.sh [OUTPUT_DIR]
set -euo pipefail
cd "$(dirname "$0")"
out=${1:-../../target/controlplane/bin}
mkdir -p "$out"
out=$(cd "$out" && pwd)
version="-X k8s.io/component-base/version.gitVersion=v1.36.3 -X k8s.io/component-base/version.gitMajor=1 -X k8s.io/component-base/version.gitMinor=36"
go build -ldflags="-s -w" -o "$out/etcd" go.etcd.io/etcd/server/v3
go build -ldflags="-s -w" -o "$out/" go.etcd.io/etcd/etcdctl/v3
go build -ldflags="-s -w $version" -o "$out/" k8s.io/kubernetes/cmd/kubectl
go build -ldflags="-s -w $version" -o "$out/" k8s.io/kubernetes/cmd/kube-apiserver k8s.io/kubernetes/cmd/kube-controller-manager
go build -ldflags="-s -w" -o "$out/" k8s.io/sample-apiserver
