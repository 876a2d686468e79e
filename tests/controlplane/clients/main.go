// What Go's client libraries do with a resource, step by step, as a transcript: each line of standard output is a JSON
// object with the step and what the library handed back, object or error. The tests run it on a resource of ours and on an
// equal CustomResource, and compare line by line: nothing is judged here.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// patience is how long the whole may take, and eventPatience how long an event; they matter only in a failure.
const (
	patience      = 3 * time.Minute
	eventPatience = time.Minute
)

// setLabel is on everything that is made here, so that lists and watches are of this program's objects alone.
const setLabel = "made-by"

// target is what the steps work with.
type target struct {
	schema.GroupVersionResource
	kind      string
	namespace string
	owner     string
	// set is the value of setLabel, and the beginning of every name.
	set string
	// status says whether the status may be written.
	status bool
}

func (t target) gvk() schema.GroupVersionKind { return t.GroupVersion().WithKind(t.kind) }

func (t target) name(text string) string { return t.set + "-" + text }

func (t target) selector() string { return setLabel + "=" + t.set }

// bare is an object without a spec.
func (t target) bare(name string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(t.gvk())
	object.SetName(t.name(name))
	object.SetNamespace(t.namespace)
	return object
}

// object is one that can be created.
func (t target) object(name string) *unstructured.Unstructured {
	object := t.bare(name)
	object.SetLabels(map[string]string{setLabel: t.set})
	set(object, []any{t.subject()}, "spec", "owners")
	if t.kind == "Organization" {
		set(object, "Client", "spec", "metadata", "displayName")
	}
	t.describe(object, "made by a client")
	return object
}

// describe changes a field that every kind has in some place.
func (t target) describe(object *unstructured.Unstructured, text string) {
	if t.kind == "Organization" {
		set(object, text, "spec", "metadata", "description")
	} else {
		set(object, text, "metadata", "annotations", "description")
	}
}

func (t target) subject() map[string]any {
	return map[string]any{"kind": "User", "apiGroup": "rbac.authorization.k8s.io", "name": t.owner}
}

// set changes a field; its own copy of the value, as a map must not be shared.
func set(object *unstructured.Unstructured, value any, fields ...string) {
	if err := unstructured.SetNestedField(object.Object, value, fields...); err != nil {
		panic(err)
	}
}

// step prints what came of a step.
func step(name string, result any, err error) {
	said := map[string]any{"step": name}
	var status apierrors.APIStatus
	switch {
	case errors.As(err, &status):
		said["error"] = status.Status()
	case err != nil:
		said["error"] = err.Error()
	default:
		said["result"] = result
	}
	text, err := json.Marshal(said)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(text))
}

// events prints the next events of a watch, and ends it.
func events(name string, watching watch.Interface, err error, act func(), count int) {
	if err != nil {
		step(name, nil, err)
		return
	}
	defer watching.Stop()
	act()
	for i := 0; i < count; i++ {
		select {
		case event, open := <-watching.ResultChan():
			if !open {
				step(name, nil, errors.New("the watch ended"))
				return
			}
			step(name, map[string]any{"type": event.Type, "object": event.Object}, nil)
		case <-time.After(eventPatience):
			step(name, nil, errors.New("no event came"))
			return
		}
	}
}

// warner prints warnings as steps.
type warner struct{}

func (warner) HandleWarningHeader(code int, _, text string) {
	step("warning", fmt.Sprint(code, " ", text), nil)
}

func run() error {
	// Not the global set, in which controller-runtime has flags of its own.
	flags := flag.NewFlagSet(os.Args[0], flag.ExitOnError)
	kubeconfig := flags.String("kubeconfig", "", "kubeconfig of the user to act as")
	group := flags.String("group", "", "API group, in version v1alpha1")
	resource := flags.String("resource", "", "plural")
	kind := flags.String("kind", "", "kind")
	namespace := flags.String("namespace", "", "namespace, empty for a resource without one")
	owner := flags.String("owner", "", "user name of the owner")
	set := flags.String("set", "", "what all names begin with")
	status := flags.Bool("status", false, "write the status as well")
	if err := flags.Parse(os.Args[1:]); err != nil {
		return err
	}

	config, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		return err
	}
	config.WarningHandler = warner{}
	config.QPS, config.Burst = 1000, 1000
	t := target{
		GroupVersionResource: schema.GroupVersionResource{Group: *group, Version: "v1alpha1", Resource: *resource},
		kind:                 *kind, namespace: *namespace, owner: *owner, set: *set, status: *status,
	}
	ctx, stop := context.WithTimeout(context.Background(), patience)
	defer stop()
	for _, steps := range []func(context.Context, *rest.Config, target) error{
		discoverySteps, dynamicSteps, metadataSteps, runtimeSteps,
	} {
		if err := steps(ctx, config, t); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "clients:", err)
		os.Exit(1)
	}
}
