// Nothing of it is compiled: build.sh takes its CustomResourceDefinitions.
module bulward.io/controlplane/cert-manager

go 1.26.0

require github.com/cert-manager/cert-manager v1.18.2
