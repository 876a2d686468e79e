// A client-go informer, as controllers use it: the tests run it beside kubectl and read what it saw.
//
// Standard output carries one JSON object a line for each event handler call, and the bare word SYNCED once, when the
// handlers have seen everything of the first list. Reconnecting, resuming and relisting are client-go's own.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/tools/clientcmd"
)

// event is one line of output.
type event struct {
	Type            string `json:"type"`
	Namespace       string `json:"namespace,omitempty"`
	Name            string `json:"name"`
	ResourceVersion string `json:"resourceVersion"`
	UID             string `json:"uid"`
	// Initial is true for an ADD that belongs to the first list.
	Initial bool `json:"initial,omitempty"`
	// Stale is true for a DELETE that the informer inferred from a relist, so that the object is its last known state.
	Stale bool `json:"stale,omitempty"`
}

// printer keeps lines whole: the SYNCED line comes from another goroutine than the events.
type printer struct{ mu sync.Mutex }

func (p *printer) line(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fmt.Println(text)
}

func (p *printer) event(kind string, obj any, initial bool) {
	e := event{Type: kind, Initial: initial}
	if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
		e.Stale, obj = true, gone.Obj
	}
	object, ok := obj.(metav1.Object)
	if !ok {
		fmt.Fprintf(os.Stderr, "%s of a %T\n", kind, obj)
		return
	}
	e.Namespace, e.Name = object.GetNamespace(), object.GetName()
	e.ResourceVersion, e.UID = object.GetResourceVersion(), string(object.GetUID())
	text, err := json.Marshal(e)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	p.line(string(text))
}

func run() error {
	kubeconfig := flag.String("kubeconfig", "", "kubeconfig of the user to act as")
	resource := flag.String("resource", "", "what to watch, as group/version/resource (empty group for the legacy API: /v1/pods)")
	namespace := flag.String("namespace", "", "one namespace; all when empty")
	selector := flag.String("selector", "", "label selector")
	watchList := flag.Bool("watchlist", true, "stream the first list (sendInitialEvents) instead of a LIST request")
	flag.Parse()

	// client-go reads its feature gates from the environment when the first one is asked for, thus before any client is made.
	if err := os.Setenv("KUBE_FEATURE_WatchListClient", fmt.Sprint(*watchList)); err != nil {
		return err
	}
	parts := strings.Split(*resource, "/")
	if len(parts) != 3 {
		return fmt.Errorf("-resource %q is not group/version/resource", *resource)
	}
	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()

	gvr := schema.GroupVersionResource{Group: parts[0], Version: parts[1], Resource: parts[2]}
	tweak := func(o *metav1.ListOptions) { o.LabelSelector = *selector }
	factory := dynamicinformer.NewFilteredDynamicSharedInformerFactory(client, 0, *namespace, tweak)
	informer := factory.ForResource(gvr).Informer()
	out := &printer{}
	registration, err := informer.AddEventHandler(cache.ResourceEventHandlerDetailedFuncs{
		AddFunc:    func(obj any, initial bool) { out.event("ADD", obj, initial) },
		UpdateFunc: func(_, obj any) { out.event("UPDATE", obj, false) },
		DeleteFunc: func(obj any) { out.event("DELETE", obj, false) },
	})
	if err != nil {
		return err
	}
	factory.Start(ctx.Done())
	// The registration's own HasSynced, not the informer's: only then have the handlers been called for the first list.
	if cache.WaitForCacheSync(ctx.Done(), registration.HasSynced) {
		out.line("SYNCED")
	}
	<-ctx.Done()
	factory.Shutdown()
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "informer:", err)
		os.Exit(1)
	}
}
