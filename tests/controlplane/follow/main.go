// Everything by which Go programs follow a resource, at once and in one process, as in a controller: client-go's informers
// of whole objects and of metadata alone, its RetryWatcher, and controller-runtime's cache behind a reconciler; and a
// leader election on a Lease beside them.
//
// Standard output carries one JSON object a line (see out.go). Reconnecting, resuming and relisting are the libraries' own,
// but for RetryWatcher, which ends when its place in history is gone: then it is started anew from a list, as its
// documentation asks of its users.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/tools/clientcmd"
)

// resource is what is followed.
type resource struct {
	schema.GroupVersionResource
	kind string
}

func (r resource) gvk() schema.GroupVersionKind { return r.GroupVersion().WithKind(r.kind) }

// resources reads group/version/resource/Kind, several separated by commas.
func resources(text string) ([]resource, error) {
	var all []resource
	for _, one := range strings.Split(text, ",") {
		parts := strings.Split(one, "/")
		if len(parts) != 4 {
			return nil, fmt.Errorf("-resources: %q is not group/version/resource/Kind", one)
		}
		gvr := schema.GroupVersionResource{Group: parts[0], Version: parts[1], Resource: parts[2]}
		all = append(all, resource{GroupVersionResource: gvr, kind: parts[3]})
	}
	return all, nil
}

func run() error {
	// Not the global set, in which controller-runtime has flags of its own.
	flags := flag.NewFlagSet(os.Args[0], flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "kubeconfig of the user to act as")
	what := flags.String("resources", "", "what to follow, as group/version/resource/Kind, separated by commas")
	watchList := flags.Bool("watchlist", true, "stream the first list (sendInitialEvents) instead of a LIST request")
	identity := flags.String("identity", "", "what to be called in the leader election")
	lease := flags.String("lease", "", "the Lease of the leader election, as namespace/name")
	owner := flags.String("owner", "", "whose objects the reconciler counts through its index")
	if err := flags.Parse(os.Args[1:]); err != nil {
		return err
	}

	// client-go reads its feature gates from the environment when the first one is asked for, thus before any client is made.
	if err := os.Setenv("KUBE_FEATURE_WatchListClient", fmt.Sprint(*watchList)); err != nil {
		return err
	}
	all, err := resources(*what)
	if err != nil {
		return err
	}
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()

	// Whichever of them cannot go on ends the program.
	ended := make(chan error)
	start := func(follow func() error) { go func() { ended <- follow() }() }
	start(func() error { return informers(ctx, config, all) })
	start(func() error { return metadataInformers(ctx, config, all) })
	for _, r := range all {
		start(func() error { return retryWatcher(ctx, config, r) })
	}
	start(func() error { return reconcilers(ctx, config, all, *owner) })
	start(func() error { return elections(ctx, config, *identity, *lease) })
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "follow:", err)
		os.Exit(1)
	}
}
