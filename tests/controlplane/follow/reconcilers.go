package main

import (
	"context"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/rest"
	"k8s.io/klog/v2"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
)

// byOwner is the name of the index over the names of owners.
const byOwner = "owner"

// reconcilers runs one controller for each resource: the first with whole objects and an index, the others with metadata
// alone. Both read from the manager's cache, as controllers do.
func reconcilers(ctx context.Context, config *rest.Config, all []resource, owner string) error {
	ctrl.SetLogger(klog.Background())
	manager, err := ctrl.NewManager(config, ctrl.Options{Metrics: server.Options{BindAddress: "0"}})
	if err != nil {
		return err
	}
	known := manager.GetCache()
	for i, r := range all {
		t := teller{"reconciler", r.Resource}
		controller := ctrl.NewControllerManagedBy(manager).Named(r.Resource)
		if i > 0 {
			empty := func() client.Object {
				object := &metav1.PartialObjectMetadata{}
				object.SetGroupVersionKind(r.gvk())
				return object
			}
			err = controller.For(empty(), builder.OnlyMetadata).Complete(reconciler{t, known, empty, nil})
		} else {
			empty := func() client.Object {
				object := &unstructured.Unstructured{}
				object.SetGroupVersionKind(r.gvk())
				return object
			}
			if err := known.IndexField(ctx, empty(), byOwner, owners); err != nil {
				return err
			}
			count := func(ctx context.Context) (int, error) {
				list := &unstructured.UnstructuredList{}
				list.SetGroupVersionKind(r.GroupVersion().WithKind(r.kind + "List"))
				err := known.List(ctx, list, client.MatchingFields{byOwner: owner})
				return len(list.Items), err
			}
			err = controller.For(empty()).Complete(reconciler{t, known, empty, count})
		}
		if err != nil {
			return err
		}
	}
	go func() {
		if known.WaitForCacheSync(ctx) {
			for _, r := range all {
				teller{"reconciler", r.Resource}.say("SYNCED").print()
			}
		}
	}()
	return manager.Start(ctx)
}

// owners are the names that an object is found under.
func owners(object client.Object) []string {
	var names []string
	subjects, _, _ := unstructured.NestedSlice(object.(*unstructured.Unstructured).Object, "spec", "owners")
	for _, subject := range subjects {
		if fields, ok := subject.(map[string]any); ok {
			name, _, _ := unstructured.NestedString(fields, "name")
			names = append(names, name)
		}
	}
	return names
}

// reconciler looks an object up in the cache and prints what it finds.
type reconciler struct {
	teller
	known cache.Cache
	empty func() client.Object
	// count asks the index; nil where there is none.
	count func(context.Context) (int, error)
}

func (r reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	object := r.empty()
	err := r.known.Get(ctx, request.NamespacedName, object)
	said := r.about("SET", object)
	if apierrors.IsNotFound(err) {
		said = r.say("GONE")
		said.Namespace, said.Name = request.Namespace, request.Name
		err = nil
	}
	if err == nil && r.count != nil {
		var owned int
		owned, err = r.count(ctx)
		said.Owned = &owned
	}
	if err != nil {
		return reconcile.Result{}, err
	}
	said.print()
	return reconcile.Result{}, nil
}
