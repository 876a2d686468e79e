package main

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
)

// metadataSteps is every verb of the client that sees metadata alone, and asks for it as protobuf.
func metadataSteps(ctx context.Context, config *rest.Config, t target) error {
	whole, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	objects := resourceOf(whole, t)
	client, err := metadata.NewForConfig(config)
	if err != nil {
		return err
	}
	var m metadata.ResourceInterface = client.Resource(t.GroupVersionResource)
	if t.namespace != "" {
		m = client.Resource(t.GroupVersionResource).Namespace(t.namespace)
	}
	list, err := m.List(ctx, metav1.ListOptions{LabelSelector: t.selector()})
	step("metadata: list nothing", list, err)
	if err != nil {
		return nil
	}
	watching, err := m.Watch(ctx, metav1.ListOptions{LabelSelector: t.selector(), ResourceVersion: list.ResourceVersion})
	act := func() {
		for i := range 3 {
			_, err := objects.Create(ctx, t.object(fmt.Sprint("meta-", i)), metav1.CreateOptions{FieldManager: "transcript"})
			step("metadata: create", nil, err)
		}
		for _, text := range []string{`{"metadata":{"labels":{"a":"b"}}}`, `{"metadata":{"labels":{"a":"b"}}}`, `{"metadata":{"annotations":{"c":"d"}}}`} {
			patched, err := m.Patch(ctx, t.name("meta-0"), types.MergePatchType, []byte(text), metav1.PatchOptions{FieldManager: "meta"})
			step("metadata: merge patch", patched, err)
		}
		patched, err := m.Patch(ctx, t.name("meta-0"), types.JSONPatchType, []byte(`[{"op":"remove","path":"/metadata/labels/a"}]`), metav1.PatchOptions{})
		step("metadata: JSON patch", patched, err)
		patched, err = m.Patch(ctx, t.name("meta-1"), types.StrategicMergePatchType, []byte(`{}`), metav1.PatchOptions{})
		step("metadata: strategic merge patch", patched, err)
		apply := fmt.Sprintf(`{"apiVersion":%q,"kind":%q,"metadata":{"name":%q,"labels":{"applied":"yes"}}}`, t.GroupVersion(), t.kind, t.name("meta-1"))
		patched, err = m.Patch(ctx, t.name("meta-1"), types.ApplyPatchType, []byte(apply), metav1.PatchOptions{FieldManager: "meta"})
		step("metadata: apply", patched, err)
		step("metadata: delete", nil, m.Delete(ctx, t.name("meta-2"), metav1.DeleteOptions{}))
	}
	events("metadata: watch", watching, err, act, 8)
	got, err := m.Get(ctx, t.name("meta-0"), metav1.GetOptions{})
	step("metadata: get", got, err)
	got, err = m.Get(ctx, t.name("absent"), metav1.GetOptions{})
	step("metadata: get what is absent", got, err)
	page, err := m.List(ctx, metav1.ListOptions{LabelSelector: t.selector(), Limit: 1})
	step("metadata: first page", page, err)
	if err == nil {
		page, err = m.List(ctx, metav1.ListOptions{LabelSelector: t.selector(), Limit: 1, Continue: page.Continue})
		step("metadata: second page", page, err)
	}
	initial := true
	watching, err = m.Watch(ctx, metav1.ListOptions{
		LabelSelector: t.selector(), SendInitialEvents: &initial, AllowWatchBookmarks: true,
		ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
	})
	events("metadata: watch with initial events", watching, err, func() {}, 3)
	step("metadata: delete what is absent", nil, m.Delete(ctx, t.name("absent"), metav1.DeleteOptions{}))
	step("metadata: delete all", nil, m.DeleteCollection(ctx, metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: t.selector()}))
	list, err = m.List(ctx, metav1.ListOptions{LabelSelector: t.selector()})
	step("metadata: list after that", list, err)
	return nil
}
