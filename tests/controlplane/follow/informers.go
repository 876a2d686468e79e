package main

import (
	"context"
	"fmt"
	"os"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// informers follows whole objects.
func informers(ctx context.Context, config *rest.Config, all []resource) error {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := dynamicinformer.NewDynamicSharedInformerFactory(client, 0)
	for _, r := range all {
		if err := tell(ctx, factory.ForResource(r.GroupVersionResource).Informer(), teller{"informer", r.Resource}); err != nil {
			return err
		}
	}
	factory.Start(ctx.Done())
	<-ctx.Done()
	factory.Shutdown()
	return nil
}

// metadataInformers follows metadata alone, as the garbage collector does.
func metadataInformers(ctx context.Context, config *rest.Config, all []resource) error {
	client, err := metadata.NewForConfig(config)
	if err != nil {
		return err
	}
	factory := metadatainformer.NewSharedInformerFactory(client, 0)
	for _, r := range all {
		if err := tell(ctx, factory.ForResource(r.GroupVersionResource).Informer(), teller{"metadata", r.Resource}); err != nil {
			return err
		}
	}
	factory.Start(ctx.Done())
	<-ctx.Done()
	factory.Shutdown()
	return nil
}

// tell prints what an informer's handlers are told.
func tell(ctx context.Context, informer cache.SharedIndexInformer, t teller) error {
	say := func(kind string, obj any) {
		if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
			obj = gone.Obj
		}
		object, ok := obj.(metav1.Object)
		if !ok {
			fmt.Fprintf(os.Stderr, "%s of a %T\n", kind, obj)
			return
		}
		t.about(kind, object).print()
	}
	registration, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    func(obj any) { say("SET", obj) },
		UpdateFunc: func(_, obj any) { say("SET", obj) },
		DeleteFunc: func(obj any) { say("GONE", obj) },
	})
	if err != nil {
		return err
	}
	go func() {
		if cache.WaitForCacheSync(ctx.Done(), registration.HasSynced) {
			t.say("SYNCED").print()
		}
	}()
	return nil
}
