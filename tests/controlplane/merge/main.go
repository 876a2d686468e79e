// Kubernetes' own server-side apply as a judge: the tests ask it and our implementation the same questions.
//
// Standard input carries one question a line, standard output one answer a line. A kind is registered once by its
// structural schema, and is typed as kube-apiserver types a CustomResource: its definition's OpenAPI document, made into a
// type converter. Questions are about one step (validate, fields, compare, merge, remove, reconcile, named), about
// sets alone (sets), or about a whole write (update, apply).
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"os"

	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apiextensions-apiserver/pkg/controller/openapi/builder"
	"k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	kjson "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/managedfields"
	"k8s.io/kube-openapi/pkg/validation/spec"
	"sigs.k8s.io/structured-merge-diff/v6/fieldpath"
	"sigs.k8s.io/structured-merge-diff/v6/typed"
)

const (
	group   = "merge.example.com"
	version = "v1"
	kind    = "Thing"
)

type question struct {
	Op string `json:"op"`
	// Type is the name of a registered kind.
	Type   string          `json:"type"`
	Schema json.RawMessage `json:"schema"`
	// Live is the left or older object.
	Live json.RawMessage `json:"live"`
	// Object is the right or newer object, the configuration of an apply.
	Object     json.RawMessage `json:"object"`
	Duplicates bool            `json:"duplicates"`
	Set        json.RawMessage `json:"set"`
	Right      json.RawMessage `json:"right"`
	Manager    string          `json:"manager"`
	Force      bool            `json:"force"`
	Status     bool            `json:"status"`
}

type answer map[string]any

// nothing converts and defaults: there is one version, and the tests complete objects by themselves.
type nothing struct{}

func (nothing) Default(runtime.Object)            {}
func (nothing) Convert(_, _, _ interface{}) error { return fmt.Errorf("not needed") }
func (nothing) ConvertFieldLabel(_ schema.GroupVersionKind, l, v string) (string, string, error) {
	return l, v, nil
}

// As a CustomResource's converter without a webhook does: the apiVersion is changed, and an unknown one is nobody's.
func (nothing) ConvertToVersion(in runtime.Object, target runtime.GroupVersioner) (runtime.Object, error) {
	from := in.GetObjectKind().GroupVersionKind()
	to, ok := target.KindForGroupVersionKinds([]schema.GroupVersionKind{from})
	if !ok {
		return nil, fmt.Errorf("%v cannot become %v", from, target)
	}
	out := in.DeepCopyObject()
	out.GetObjectKind().SetGroupVersionKind(to)
	return out, nil
}

func (nothing) New(kind schema.GroupVersionKind) (runtime.Object, error) {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(kind)
	return object, nil
}

type model struct {
	converter managedfields.TypeConverter
	main      *managedfields.FieldManager
	status    *managedfields.FieldManager
}

func newModel(text []byte) (*model, error) {
	props := &apiextensions.JSONSchemaProps{}
	if err := json.Unmarshal(text, props); err != nil {
		return nil, err
	}
	definition := &apiextensions.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "things." + group},
		Spec: apiextensions.CustomResourceDefinitionSpec{
			Group: group,
			Names: apiextensions.CustomResourceDefinitionNames{Plural: "things", Singular: "thing", Kind: kind, ListKind: "ThingList"},
			Scope: apiextensions.ClusterScoped,
			Versions: []apiextensions.CustomResourceDefinitionVersion{{
				Name: version, Served: true, Storage: true,
				Schema:       &apiextensions.CustomResourceValidation{OpenAPIV3Schema: props},
				Subresources: &apiextensions.CustomResourceSubresources{Status: &apiextensions.CustomResourceSubresourceStatus{}},
			}},
		},
	}
	document, err := builder.BuildOpenAPIV3(definition, version, builder.Options{})
	if err != nil {
		return nil, err
	}
	models := map[string]*spec.Schema(document.Components.Schemas)
	converter, err := managedfields.NewTypeConverter(models, false)
	if err != nil {
		return nil, err
	}
	gv := schema.GroupVersion{Group: group, Version: version}
	manager := func(subresource string, reset ...string) (*managedfields.FieldManager, error) {
		set := fieldpath.NewSet()
		for _, name := range reset {
			set.Insert(fieldpath.MakePathOrDie(name))
		}
		fields := fieldpath.NewExcludeFilterSetMap(map[fieldpath.APIVersion]*fieldpath.Set{fieldpath.APIVersion(gv.String()): set})
		return managedfields.NewDefaultCRDFieldManager(converter, nothing{}, nothing{}, nothing{}, gv.WithKind(kind), gv, subresource, fields)
	}
	main, err := manager("", "status")
	if err != nil {
		return nil, err
	}
	status, err := manager("status", "metadata", "spec")
	if err != nil {
		return nil, err
	}
	return &model{converter, main, status}, nil
}

// object decodes as a stored object or the body of an update is decoded.
func object(text json.RawMessage) (*unstructured.Unstructured, error) {
	content := map[string]interface{}{}
	if err := kjson.Unmarshal(text, &content); err != nil {
		return nil, err
	}
	return &unstructured.Unstructured{Object: content}, nil
}

// configuration decodes as the body of an apply is decoded: every number is a float.
func configuration(text json.RawMessage) (*unstructured.Unstructured, error) {
	content := map[string]interface{}{}
	if err := json.Unmarshal(text, &content); err != nil {
		return nil, err
	}
	return &unstructured.Unstructured{Object: content}, nil
}

// typed is for questions about one step, whose numbers are floats as in the body of an apply.
func (m *model) typed(text json.RawMessage, duplicates bool) (*typed.TypedValue, error) {
	value, err := configuration(text)
	if err != nil {
		return nil, err
	}
	var options []typed.ValidationOptions
	if duplicates {
		options = append(options, typed.AllowDuplicates)
	}
	return m.converter.ObjectToTyped(value, options...)
}

func set(text json.RawMessage) (*fieldpath.Set, error) {
	set := fieldpath.NewSet()
	err := set.FromJSON(bytes.NewReader(text))
	return set, err
}

func fields(set *fieldpath.Set) (json.RawMessage, error) {
	if set == nil {
		return json.RawMessage("null"), nil
	}
	return set.ToJSON()
}

// sets is an answer made of sets.
func sets(named map[string]*fieldpath.Set) (answer, error) {
	out := answer{}
	for name, set := range named {
		text, err := fields(set)
		if err != nil {
			return nil, err
		}
		out[name] = text
	}
	return out, nil
}

func paths(set *fieldpath.Set) []string {
	all := []string{}
	set.Iterate(func(path fieldpath.Path) { all = append(all, path.String()) })
	return all
}

func refused(err error) answer {
	out := answer{"error": err.Error()}
	if status, ok := err.(errors.APIStatus); ok {
		out["code"] = status.Status().Code
		if details := status.Status().Details; details != nil && len(details.Causes) > 0 {
			out["causes"] = details.Causes
		}
	}
	return out
}

func (m *model) answer(q *question) (answer, error) {
	switch q.Op {
	case "validate":
		if _, err := m.typed(q.Object, q.Duplicates); err != nil {
			return nil, err
		}
		return answer{}, nil
	case "fields":
		value, err := m.typed(q.Object, true)
		if err != nil {
			return nil, err
		}
		set, err := value.ToFieldSet()
		if err != nil {
			return nil, err
		}
		return sets(map[string]*fieldpath.Set{"set": set})
	case "compare", "merge":
		live, err := m.typed(q.Live, true)
		if err != nil {
			return nil, err
		}
		other, err := m.typed(q.Object, q.Op == "compare")
		if err != nil {
			return nil, err
		}
		if q.Op == "merge" {
			merged, err := live.Merge(other)
			if err != nil {
				return nil, err
			}
			return answer{"object": merged.AsValue().Unstructured()}, nil
		}
		found, err := live.Compare(other)
		if err != nil {
			return nil, err
		}
		return sets(map[string]*fieldpath.Set{"removed": found.Removed, "modified": found.Modified, "added": found.Added})
	case "remove", "reconcile", "named":
		set, err := set(q.Set)
		if err != nil {
			return nil, err
		}
		value, err := m.typed(q.Object, true)
		if err != nil {
			return nil, err
		}
		switch q.Op {
		case "remove":
			return answer{"object": value.RemoveItems(set).AsValue().Unstructured()}, nil
		case "reconcile":
			reconciled, err := typed.ReconcileFieldSetWithSchema(set, value)
			if err != nil {
				return nil, err
			}
			if reconciled == nil {
				reconciled = set
			}
			return sets(map[string]*fieldpath.Set{"set": reconciled})
		default:
			return sets(map[string]*fieldpath.Set{"set": set.EnsureNamedFieldsAreMembers(value.Schema(), value.TypeRef())})
		}
	case "update", "apply":
		return m.write(q)
	}
	return nil, fmt.Errorf("no question is called %q", q.Op)
}

func (m *model) write(q *question) (answer, error) {
	fields := m.main
	if q.Status {
		fields = m.status
	}
	live, err := object(q.Live)
	if err != nil {
		return nil, err
	}
	var written runtime.Object
	if q.Op == "apply" {
		config, err := configuration(q.Object)
		if err != nil {
			return nil, err
		}
		written, err = fields.Apply(live, config, q.Manager, q.Force)
		if err != nil {
			return nil, err
		}
	} else {
		wanted, err := object(q.Object)
		if err != nil {
			return nil, err
		}
		written = fields.UpdateNoErrors(live, wanted, q.Manager)
	}
	return answer{"object": written.(*unstructured.Unstructured).Object}, nil
}

func judge(models map[string]*model, q *question) (answer, error) {
	switch q.Op {
	case "type":
		model, err := newModel(q.Schema)
		if err != nil {
			return nil, err
		}
		models[q.Type] = model
		return answer{}, nil
	case "sets":
		left, err := set(q.Set)
		if err != nil {
			return nil, err
		}
		right, err := set(q.Right)
		if err != nil {
			return nil, err
		}
		out, err := sets(map[string]*fieldpath.Set{
			"union": left.Union(right), "intersection": left.Intersection(right),
			"difference": left.Difference(right), "recursive": left.RecursiveDifference(right),
		})
		if err != nil {
			return nil, err
		}
		out["equal"] = left.Equals(right)
		out["paths"] = paths(left)
		return out, nil
	}
	model := models[q.Type]
	if model == nil {
		return nil, fmt.Errorf("no kind is called %q", q.Type)
	}
	return model.answer(q)
}

func main() {
	models := map[string]*model{}
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := bufio.NewWriter(os.Stdout)
	lines := json.NewDecoder(in)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for lines.More() {
		q := &question{}
		if err := lines.Decode(q); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		found, err := judge(models, q)
		if err != nil {
			found = refused(err)
		}
		if err := encoder.Encode(found); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(2)
		}
		// Whoever asks one question waits for its answer; whoever sent many gets them together.
		if in.Buffered() == 0 {
			out.Flush()
		}
	}
	out.Flush()
}
