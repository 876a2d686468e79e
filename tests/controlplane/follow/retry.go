package main

import (
	"context"
	"fmt"
	"os"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	watchtools "k8s.io/client-go/tools/watch"
)

// watcher lets a RetryWatcher watch through a dynamic client.
type watcher struct{ client dynamic.ResourceInterface }

func (w watcher) WatchWithContext(ctx context.Context, options metav1.ListOptions) (watch.Interface, error) {
	return w.client.Watch(ctx, options)
}

// retryWatcher lists, and then watches for as long as RetryWatcher can.
func retryWatcher(ctx context.Context, config *rest.Config, r resource) error {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	objects, t := client.Resource(r.GroupVersionResource), teller{"retry", r.Resource}
	wait.UntilWithContext(ctx, func(ctx context.Context) {
		if err := listAndRetry(ctx, objects, t); err != nil {
			fmt.Fprintf(os.Stderr, "RetryWatcher of %s: %v\n", r.Resource, err)
		}
	}, time.Second)
	return nil
}

func listAndRetry(ctx context.Context, objects dynamic.ResourceInterface, t teller) error {
	list, err := objects.List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	t.say("RESET").print()
	for i := range list.Items {
		t.about("SET", &list.Items[i]).print()
	}
	t.say("SYNCED").print()
	// It has no end of its own but the context's, so that an early return must not leave it behind.
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	retry, err := watchtools.NewRetryWatcherWithContext(ctx, list.GetResourceVersion(), watcher{objects})
	if err != nil {
		return err
	}
	for event := range retry.ResultChan() {
		switch event.Type {
		case watch.Added, watch.Modified:
			t.about("SET", event.Object.(metav1.Object)).print()
		case watch.Deleted:
			t.about("GONE", event.Object.(metav1.Object)).print()
		case watch.Error:
			return apierrors.FromObject(event.Object)
		}
	}
	return nil
}
