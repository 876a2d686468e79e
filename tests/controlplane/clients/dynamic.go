package main

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/pager"
)

// resourceOf is the resource in its place.
func resourceOf(client dynamic.Interface, t target) dynamic.ResourceInterface {
	if t.namespace == "" {
		return client.Resource(t.GroupVersionResource)
	}
	return client.Resource(t.GroupVersionResource).Namespace(t.namespace)
}

// dynamicSteps is every verb and most options through the dynamic client.
func dynamicSteps(ctx context.Context, config *rest.Config, t target) error {
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return err
	}
	d := dynamicClient{resourceOf(client, t), t}
	d.writes(ctx)
	d.patches(ctx)
	d.applies(ctx)
	if t.status {
		d.statuses(ctx)
	}
	d.lists(ctx)
	d.watches(ctx)
	d.deletions(ctx)
	return nil
}

type dynamicClient struct {
	dynamic.ResourceInterface
	target
}

var (
	dryRun = []string{metav1.DryRunAll}
	strict = metav1.FieldValidationStrict
)

func (d dynamicClient) writes(ctx context.Context) {
	made, err := d.Create(ctx, d.object("a"), metav1.CreateOptions{FieldManager: "transcript"})
	step("create", made, err)
	again, err := d.Create(ctx, d.object("a"), metav1.CreateOptions{})
	step("create again", again, err)
	tried, err := d.Create(ctx, d.object("dry"), metav1.CreateOptions{DryRun: dryRun})
	step("create dry", tried, err)
	got, err := d.Get(ctx, d.name("dry"), metav1.GetOptions{})
	step("get what was made dry", got, err)
	odd := d.object("odd")
	set(odd, "x", "spec", "unheardOf")
	tried, err = d.Create(ctx, odd, metav1.CreateOptions{FieldValidation: strict})
	step("create with an unknown field, strictly", tried, err)
	tried, err = d.Create(ctx, odd, metav1.CreateOptions{FieldValidation: metav1.FieldValidationWarn})
	step("create with an unknown field, warned", tried, err)
	bad := d.object("bad")
	set(bad, "nobody", "spec", "owners")
	tried, err = d.Create(ctx, bad, metav1.CreateOptions{})
	step("create with a bad spec", tried, err)

	generated := d.object("")
	generated.SetName("")
	generated.SetGenerateName(d.name(rand.String(3)) + "-")
	tried, err = d.Create(ctx, generated, metav1.CreateOptions{})
	if err == nil && len(tried.GetName()) != len(generated.GetGenerateName())+5 {
		err = fmt.Errorf("generated %s from %s", tried.GetName(), generated.GetGenerateName())
	}
	step("create with a generated name", nil, err)
	if err == nil {
		err = d.Delete(ctx, tried.GetName(), metav1.DeleteOptions{})
		step("delete it", nil, err)
	}

	got, err = d.Get(ctx, d.name("a"), metav1.GetOptions{})
	step("get", got, err)
	got, err = d.Get(ctx, d.name("absent"), metav1.GetOptions{})
	step("get what is absent", got, err)
	if made == nil {
		return
	}
	stale := made.DeepCopy()
	d.describe(made, "updated")
	updated, err := d.Update(ctx, made, metav1.UpdateOptions{FieldManager: "transcript"})
	step("update", updated, err)
	if err == nil {
		updated, err = d.Update(ctx, updated, metav1.UpdateOptions{FieldManager: "transcript"})
		step("update nothing", updated, err)
	}
	d.describe(stale, "late")
	updated, err = d.Update(ctx, stale, metav1.UpdateOptions{})
	step("update what has changed", updated, err)
	updated, err = d.Update(ctx, d.object("absent"), metav1.UpdateOptions{})
	step("update what is absent", updated, err)
	stale.SetResourceVersion("")
	d.describe(stale, "unconditional")
	updated, err = d.Update(ctx, stale, metav1.UpdateOptions{DryRun: dryRun})
	step("update dry, whatever the version", updated, err)
}

func (d dynamicClient) patches(ctx context.Context) {
	patch := func(name string, kind types.PatchType, text string, options metav1.PatchOptions) {
		patched, err := d.Patch(ctx, d.name("a"), kind, []byte(text), options)
		step(name, patched, err)
	}
	plain := metav1.PatchOptions{FieldManager: "patcher"}
	patch("JSON patch", types.JSONPatchType, `[{"op":"add","path":"/metadata/labels/json","value":"patched"}]`, plain)
	patch("JSON patch whose test fails", types.JSONPatchType, `[{"op":"test","path":"/metadata/labels/json","value":"no"}]`, plain)
	patch("JSON patch to nowhere", types.JSONPatchType, `[{"op":"remove","path":"/spec/nothing"}]`, plain)
	patch("merge patch", types.MergePatchType, `{"metadata":{"annotations":{"merge":"patched"}}}`, plain)
	patch("merge patch of nothing", types.MergePatchType, `{"metadata":{"annotations":{"merge":"patched"}}}`, plain)
	patch("merge patch dry", types.MergePatchType, `{"metadata":{"annotations":{"dry":"yes"}}}`,
		metav1.PatchOptions{DryRun: dryRun})
	patch("merge patch with an unknown field, strictly", types.MergePatchType, `{"spec":{"unheardOf":"x"}}`,
		metav1.PatchOptions{FieldManager: "patcher", FieldValidation: strict})
	patch("JSON patch that is no array", types.JSONPatchType, `{"op":"remove","path":"/spec"}`, plain)
	patch("merge patch that is malformed", types.MergePatchType, `{"metadata":`, plain)
	patch("merge patch at another version", types.MergePatchType, `{"metadata":{"resourceVersion":"1","labels":{"late":"x"}}}`, plain)
	patch("strategic merge patch", types.StrategicMergePatchType, `{"metadata":{"labels":{"x":"y"}}}`, plain)
	patched, err := d.Patch(ctx, d.name("absent"), types.MergePatchType, []byte(`{}`), plain)
	step("patch what is absent", patched, err)
}

func (d dynamicClient) applies(ctx context.Context) {
	wanted := d.object("applied")
	one, other := metav1.ApplyOptions{FieldManager: "one"}, metav1.ApplyOptions{FieldManager: "other"}
	applied, err := d.Apply(ctx, d.name("applied"), wanted, one)
	step("apply what is new", applied, err)
	applied, err = d.Apply(ctx, d.name("applied"), wanted, one)
	step("apply the same", applied, err)
	against := d.bare("applied")
	d.describe(against, "another's")
	applied, err = d.Apply(ctx, d.name("applied"), against, other)
	step("apply against somebody", applied, err)
	forced := other
	forced.Force = true
	applied, err = d.Apply(ctx, d.name("applied"), against, forced)
	step("apply by force", applied, err)
	applied, err = d.Apply(ctx, d.name("applied"), wanted, metav1.ApplyOptions{FieldManager: "one", DryRun: dryRun, Force: true})
	step("apply dry", applied, err)
	applied, err = d.Apply(ctx, d.name("applied"), d.bare("applied"), other)
	step("apply nothing any more", applied, err)
	applied, err = d.Apply(ctx, d.name("applied"), wanted, metav1.ApplyOptions{})
	step("apply as nobody", applied, err)
	yaml := fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata:\n  name: %s\n  labels:\n    as: yaml\n", d.GroupVersion(), d.kind, d.name("applied"))
	applied, err = d.Patch(ctx, d.name("applied"), types.ApplyYAMLPatchType, []byte(yaml), metav1.PatchOptions{FieldManager: "yaml"})
	step("apply YAML", applied, err)
	nameless := fmt.Sprintf(`{"apiVersion":%q,"kind":%q,"metadata":{"labels":{"named":"by-path"}}}`, d.GroupVersion(), d.kind)
	for _, name := range []string{"applied", "nameless"} {
		applied, err = d.Patch(ctx, d.name(name), types.ApplyPatchType, []byte(nameless), metav1.PatchOptions{FieldManager: "nameless"})
		step("apply without a name to "+name, applied, err)
	}
	odd := d.bare("applied")
	set(odd, "x", "spec", "unheardOf")
	applied, err = d.Apply(ctx, d.name("applied"), odd, other)
	step("apply an unknown field", applied, err)
}

func (d dynamicClient) statuses(ctx context.Context) {
	want := d.bare("applied")
	set(want, "Ready", "status", "phase")
	applied, err := d.ApplyStatus(ctx, d.name("applied"), want, metav1.ApplyOptions{FieldManager: "controller"})
	step("apply status", applied, err)
	if applied != nil {
		d.describe(applied, "not to be written here")
		set(applied, []any{d.subject()}, "status", "members")
		updated, err := d.UpdateStatus(ctx, applied, metav1.UpdateOptions{FieldManager: "updater"})
		step("update status", updated, err)
	}
	patched, err := d.Patch(ctx, d.name("applied"), types.MergePatchType, []byte(`{"status":{"phase":"NotReady"}}`),
		metav1.PatchOptions{}, "status")
	step("patch status", patched, err)
	got, err := d.Get(ctx, d.name("applied"), metav1.GetOptions{}, "status")
	step("get status", got, err)
}

func (d dynamicClient) lists(ctx context.Context) {
	for i := range 5 {
		object := d.object(fmt.Sprint("list-", i))
		object.SetLabels(map[string]string{setLabel: d.set, "list": fmt.Sprint(i % 2)})
		if _, err := d.Create(ctx, object, metav1.CreateOptions{}); err != nil {
			step("create for lists", nil, err)
		}
	}
	list := func(name string, options metav1.ListOptions) *unstructured.UnstructuredList {
		got, err := d.List(ctx, options)
		step(name, got, err)
		return got
	}
	list("list by label", metav1.ListOptions{LabelSelector: d.selector()})
	list("list by labels", metav1.ListOptions{LabelSelector: d.selector() + ",list in (1,2),list!=2"})
	list("list by existence", metav1.ListOptions{LabelSelector: d.selector() + ",!list"})
	list("list by name", metav1.ListOptions{FieldSelector: "metadata.name=" + d.name("list-1")})
	list("list by an unknown field", metav1.ListOptions{FieldSelector: "spec.owners=x"})
	list("list by nonsense", metav1.ListOptions{LabelSelector: "a in"})
	if page := list("first page", metav1.ListOptions{LabelSelector: d.selector(), Limit: 3}); page != nil {
		next := list("second page", metav1.ListOptions{LabelSelector: d.selector(), Limit: 3, Continue: page.GetContinue()})
		if next != nil && next.GetResourceVersion() != page.GetResourceVersion() {
			step("pages are of one revision", nil, fmt.Errorf("%s and %s", page.GetResourceVersion(), next.GetResourceVersion()))
		}
		list("at that revision", metav1.ListOptions{
			LabelSelector: d.selector(), ResourceVersion: page.GetResourceVersion(), ResourceVersionMatch: metav1.ResourceVersionMatchExact,
		})
		list("not older", metav1.ListOptions{
			LabelSelector: d.selector(), ResourceVersion: page.GetResourceVersion(), ResourceVersionMatch: metav1.ResourceVersionMatchNotOlderThan,
		})
	}
	list("exactly nothing", metav1.ListOptions{ResourceVersionMatch: metav1.ResourceVersionMatchExact})
	pages := pager.New(pager.SimplePageFunc(func(options metav1.ListOptions) (runtime.Object, error) {
		return d.List(ctx, options)
	}))
	pages.PageSize = 2
	var names []string
	err := pages.EachListItem(ctx, metav1.ListOptions{LabelSelector: d.selector()}, func(object runtime.Object) error {
		names = append(names, object.(metav1.Object).GetName())
		return nil
	})
	step("all pages", names, err)
}

func (d dynamicClient) watches(ctx context.Context) {
	list, err := d.List(ctx, metav1.ListOptions{})
	if err != nil {
		step("list to watch from", nil, err)
		return
	}
	selected := metav1.ListOptions{LabelSelector: d.selector() + ",watched", ResourceVersion: list.GetResourceVersion()}
	watching, err := d.Watch(ctx, selected)
	merge := func(text string) {
		if _, err := d.Patch(ctx, d.name("watched"), types.MergePatchType, []byte(text), metav1.PatchOptions{}); err != nil {
			step("patch for a watch", nil, err)
		}
	}
	act := func() {
		if _, err := d.Create(ctx, d.object("watched"), metav1.CreateOptions{}); err != nil {
			step("create for a watch", nil, err)
		}
		merge(`{"metadata":{"labels":{"watched":"1"}}}`)
		merge(`{"metadata":{"labels":{"watched":"2"}}}`)
		merge(`{"metadata":{"labels":{"watched":"2"}}}`)
		merge(`{"metadata":{"labels":{"watched":null}}}`)
		merge(`{"metadata":{"labels":{"watched":"3"}}}`)
		if err := d.Delete(ctx, d.name("watched"), metav1.DeleteOptions{}); err != nil {
			step("delete for a watch", nil, err)
		}
	}
	events("watch by label", watching, err, act, 5)
	watching, err = d.Watch(ctx, selected)
	events("watch again from there", watching, err, func() {}, 5)
	watching, err = d.Watch(ctx, metav1.ListOptions{FieldSelector: "metadata.name=" + d.name("a")})
	events("watch from nowhere", watching, err, func() {}, 1)
	initial, match := true, metav1.ResourceVersionMatchNotOlderThan
	watching, err = d.Watch(ctx, metav1.ListOptions{
		LabelSelector: d.selector() + ",list=1", SendInitialEvents: &initial, ResourceVersionMatch: match, AllowWatchBookmarks: true,
	})
	events("watch with initial events", watching, err, func() {}, 3)
	watching, err = d.Watch(ctx, metav1.ListOptions{SendInitialEvents: &initial})
	events("watch with initial events of any age", watching, err, func() {}, 1)
	watching, err = d.Watch(ctx, metav1.ListOptions{ResourceVersion: "1"})
	events("watch from long ago", watching, err, func() {}, 1)
}

func (d dynamicClient) deletions(ctx context.Context) {
	remove := func(step_ string, name string, options metav1.DeleteOptions) {
		step(step_, nil, d.Delete(ctx, d.name(name), options))
	}
	other, version := types.UID("00000000-0000-0000-0000-000000000000"), "1"
	remove("delete another one's", "list-0", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &other}})
	remove("delete another version", "list-0", metav1.DeleteOptions{Preconditions: &metav1.Preconditions{ResourceVersion: &version}})
	remove("delete dry", "list-0", metav1.DeleteOptions{DryRun: dryRun})
	got, err := d.Get(ctx, d.name("list-0"), metav1.GetOptions{})
	step("get what was deleted dry", got, err)
	background, nonsense := metav1.DeletePropagationBackground, metav1.DeletionPropagation("Nonsense")
	remove("delete by nonsense", "list-0", metav1.DeleteOptions{PropagationPolicy: &nonsense})
	remove("delete", "list-0", metav1.DeleteOptions{PropagationPolicy: &background})
	remove("delete again", "list-0", metav1.DeleteOptions{})

	patch := func(name, text string) {
		patched, err := d.Patch(ctx, d.name("list-1"), types.MergePatchType, []byte(text), metav1.PatchOptions{FieldManager: "finalizer"})
		step(name, patched, err)
	}
	patch("add a finalizer", `{"metadata":{"finalizers":["example.com/held"]}}`)
	remove("delete what is held", "list-1", metav1.DeleteOptions{})
	got, err = d.Get(ctx, d.name("list-1"), metav1.GetOptions{})
	step("get what is going", got, err)
	patch("change what is going", `{"metadata":{"labels":{"going":"yes"}}}`)
	remove("delete what is going", "list-1", metav1.DeleteOptions{})
	patch("remove the finalizer", `{"metadata":{"finalizers":null}}`)
	got, err = d.Get(ctx, d.name("list-1"), metav1.GetOptions{})
	step("get what has gone", got, err)

	collection := func(name string, options metav1.DeleteOptions, of metav1.ListOptions) {
		step(name, nil, d.DeleteCollection(ctx, options, of))
		list, err := d.List(ctx, metav1.ListOptions{LabelSelector: d.selector()})
		var names []string
		if err == nil {
			for _, item := range list.Items {
				names = append(names, item.GetName())
			}
		}
		step(name+": what is left", names, err)
	}
	collection("delete some dry", metav1.DeleteOptions{DryRun: dryRun}, metav1.ListOptions{LabelSelector: d.selector() + ",list"})
	collection("delete some", metav1.DeleteOptions{PropagationPolicy: &background},
		metav1.ListOptions{LabelSelector: d.selector() + ",list=0"})
	collection("delete one by name", metav1.DeleteOptions{}, metav1.ListOptions{FieldSelector: "metadata.name=" + d.name("list-3")})
	collection("delete all", metav1.DeleteOptions{}, metav1.ListOptions{LabelSelector: d.selector()})
}
