package main

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// runtimeSteps is controller-runtime's client, with whole objects and with metadata.
func runtimeSteps(ctx context.Context, config *rest.Config, t target) error {
	c, err := client.NewWithWatch(config, client.Options{})
	if err != nil {
		return err
	}
	r := runtimeClient{c, t}
	r.writes(ctx)
	r.applies(ctx)
	if t.status {
		r.statuses(ctx)
	}
	r.lists(ctx)
	r.metadata(ctx)
	r.deletions(ctx)
	return nil
}

type runtimeClient struct {
	client.WithWatch
	target
}

func (r runtimeClient) key(name string) client.ObjectKey {
	return client.ObjectKey{Namespace: r.namespace, Name: r.name(name)}
}

func (r runtimeClient) list() *unstructured.UnstructuredList {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(r.GroupVersion().WithKind(r.kind + "List"))
	return list
}

func (r runtimeClient) mine() client.MatchingLabels { return client.MatchingLabels{setLabel: r.set} }

func (r runtimeClient) writes(ctx context.Context) {
	owner := client.FieldOwner("runtime")
	object := r.object("run")
	step("runtime: create", object, r.Create(ctx, object, owner))
	again := r.object("run")
	step("runtime: create again", again, r.Create(ctx, again))
	dry := r.object("run-dry")
	step("runtime: create dry", dry, client.NewDryRunClient(r).Create(ctx, dry))
	got := r.bare("")
	step("runtime: get", got, r.Get(ctx, r.key("run"), got))
	step("runtime: get what is absent", nil, r.Get(ctx, r.key("absent"), r.bare("")))

	stale := object.DeepCopy()
	r.describe(object, "updated")
	step("runtime: update", object, r.Update(ctx, object, owner))
	r.describe(stale, "late")
	step("runtime: update what has changed", nil, r.Update(ctx, stale))

	base := object.DeepCopy()
	object.SetAnnotations(map[string]string{"merge": "from"})
	step("runtime: merge from", object, r.Patch(ctx, object, client.MergeFrom(base), owner))
	locked := client.MergeFromWithOptions(stale.DeepCopy(), client.MergeFromWithOptimisticLock{})
	stale.SetAnnotations(map[string]string{"locked": "yes"})
	step("runtime: merge with a lock", nil, r.Patch(ctx, stale, locked))
	raw := client.RawPatch(types.JSONPatchType, []byte(`[{"op":"add","path":"/metadata/labels/raw","value":"x"}]`))
	step("runtime: raw patch", object, r.Patch(ctx, object, raw, owner))
	empty := object.DeepCopy()
	step("runtime: merge nothing", empty, r.Patch(ctx, empty, client.MergeFrom(object.DeepCopy())))
	namespaced, err := r.IsObjectNamespaced(object)
	step("runtime: is namespaced", namespaced, err)
}

func (r runtimeClient) applies(ctx context.Context) {
	apply := func(name string, object *unstructured.Unstructured, options ...client.ApplyOption) {
		err := r.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), options...)
		step(name, object, err)
	}
	apply("runtime: apply", r.object("run-applied"), client.FieldOwner("one"))
	against := r.bare("run-applied")
	r.describe(against, "another's")
	apply("runtime: apply against somebody", against.DeepCopy(), client.FieldOwner("other"))
	apply("runtime: apply by force", against.DeepCopy(), client.FieldOwner("other"), client.ForceOwnership)
	patch := r.object("run-applied")
	err := r.Patch(ctx, patch, client.RawPatch(types.ApplyPatchType, must(patch.MarshalJSON())), client.FieldOwner("one"), client.ForceOwnership)
	step("runtime: apply as a patch", patch, err)
}

func must(text []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return text
}

func (r runtimeClient) statuses(ctx context.Context) {
	object := r.bare("")
	if err := r.Get(ctx, r.key("run"), object); err != nil {
		step("runtime: get for the status", nil, err)
		return
	}
	set(object, "Ready", "status", "phase")
	step("runtime: update status", object, r.Status().Update(ctx, object, client.FieldOwner("controller")))
	base := object.DeepCopy()
	set(object, "Failed", "status", "phase")
	step("runtime: patch status", object, r.Status().Patch(ctx, object, client.MergeFrom(base)))
	wanted := r.bare("run")
	set(wanted, "Ready", "status", "phase")
	configuration := client.ApplyConfigurationFromUnstructured(wanted)
	err := r.Status().Apply(ctx, configuration, client.FieldOwner("applier"), client.ForceOwnership)
	step("runtime: apply status", wanted, err)
}

func (r runtimeClient) lists(ctx context.Context) {
	for i := range 3 {
		object := r.object(fmt.Sprint("run-list-", i))
		object.SetLabels(map[string]string{setLabel: r.set, "list": fmt.Sprint(i % 2)})
		step("runtime: create for lists", nil, r.Create(ctx, object))
	}
	list := func(name string, options ...client.ListOption) *unstructured.UnstructuredList {
		got := r.list()
		err := r.List(ctx, got, append(options, client.InNamespace(r.namespace))...)
		step(name, got, err)
		return got
	}
	list("runtime: list", r.mine())
	list("runtime: list by label", client.MatchingLabels{setLabel: r.set, "list": "0"})
	list("runtime: list by existence", r.mine(), client.HasLabels{"list"})
	list("runtime: list by name", client.MatchingFields{"metadata.name": r.name("run")})
	page := list("runtime: first page", r.mine(), client.Limit(2))
	list("runtime: second page", r.mine(), client.Limit(2), client.Continue(page.GetContinue()))

	watching, err := r.Watch(ctx, r.list(), client.InNamespace(r.namespace), client.MatchingLabels{setLabel: r.set, "list": "1"})
	act := func() {
		object := r.bare("run-list-1")
		patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"watched":"yes"}}}`))
		step("runtime: patch for a watch", nil, r.Patch(ctx, object, patch))
	}
	events("runtime: watch", watching, err, act, 2)
}

func (r runtimeClient) metadata(ctx context.Context) {
	partial := &metav1.PartialObjectMetadata{}
	partial.SetGroupVersionKind(r.gvk())
	step("runtime: get metadata", partial, r.Get(ctx, r.key("run"), partial))
	base := partial.DeepCopy()
	partial.SetAnnotations(map[string]string{"metadata": "alone"})
	step("runtime: patch metadata", partial, r.Patch(ctx, partial, client.MergeFrom(base)))
	list := &metav1.PartialObjectMetadataList{}
	list.SetGroupVersionKind(r.GroupVersion().WithKind(r.kind + "List"))
	step("runtime: list metadata", list, r.List(ctx, list, client.InNamespace(r.namespace), r.mine()))
	gone := &metav1.PartialObjectMetadata{}
	gone.SetGroupVersionKind(r.gvk())
	gone.SetNamespace(r.namespace)
	gone.SetName(r.name("run-list-2"))
	step("runtime: delete by metadata", nil, r.Delete(ctx, gone))
}

func (r runtimeClient) deletions(ctx context.Context) {
	other := types.UID("00000000-0000-0000-0000-000000000000")
	step("runtime: delete another one's", nil, r.Delete(ctx, r.bare("run"), client.Preconditions{UID: &other}))
	step("runtime: delete", nil, r.Delete(ctx, r.bare("run"), client.PropagationPolicy(metav1.DeletePropagationBackground)))
	step("runtime: delete again", nil, r.Delete(ctx, r.bare("run")))
	all := []client.DeleteAllOfOption{client.InNamespace(r.namespace), r.mine()}
	step("runtime: delete all dry", nil, r.DeleteAllOf(ctx, r.bare(""), append(all, client.DryRunAll)...))
	step("runtime: delete all", nil, r.DeleteAllOf(ctx, r.bare(""), all...))
	left := r.list()
	step("runtime: list what is left", left, r.List(ctx, left, client.InNamespace(r.namespace), r.mine()))
}
