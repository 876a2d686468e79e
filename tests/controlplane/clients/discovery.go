package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sort"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

// discoverySteps finds the resource in every way that client-go has.
func discoverySteps(_ context.Context, config *rest.Config, t target) error {
	client, err := discovery.NewDiscoveryClientForConfig(config)
	if err != nil {
		return err
	}
	_, lists, err := client.ServerGroupsAndResources()
	step("aggregated discovery", found(lists, t), err)
	_, lists, err = client.WithLegacy().ServerGroupsAndResources()
	step("legacy discovery", found(lists, t), err)
	list, err := client.ServerResourcesForGroupVersion(t.GroupVersion().String())
	step("discovery of the version", found([]*metav1.APIResourceList{list}, t), err)

	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(client))
	mapping, err := mapper.RESTMapping(schema.GroupKind{Group: t.Group, Kind: t.kind})
	if err != nil {
		step("mapping", nil, err)
	} else {
		step("mapping", []any{mapping.Resource, mapping.GroupVersionKind, mapping.Scope.Name()}, nil)
	}
	of, err := mapper.ResourceFor(schema.GroupVersionResource{Group: t.Group, Resource: t.Resource})
	step("resource for the plural", of, err)
	kind, err := mapper.KindFor(t.GroupVersionResource)
	step("kind for the resource", kind, err)
	singular, err := mapper.ResourceSingularizer(t.Resource)
	step("singular", singular, err)

	paths, err := client.OpenAPIV3().Paths()
	if err != nil {
		step("OpenAPI v3", nil, err)
		return nil
	}
	document, there := paths["apis/"+t.GroupVersion().String()]
	if !there {
		return fmt.Errorf("OpenAPI v3 has no document of %s", t.GroupVersion())
	}
	text, err := document.Schema(runtime.ContentTypeJSON)
	if err != nil {
		step("OpenAPI v3", nil, err)
		return nil
	}
	properties, err := specOf(text, t)
	step("OpenAPI v3", properties, err)
	return nil
}

// found is what discovery says of the resource and its subresources, but for names that differ on purpose.
func found(lists []*metav1.APIResourceList, t target) any {
	var all []map[string]any
	for _, list := range lists {
		if list == nil || list.GroupVersion != t.GroupVersion().String() {
			continue
		}
		for _, resource := range list.APIResources {
			if resource.Name != t.Resource {
				continue
			}
			sort.Strings(resource.Verbs)
			all = append(all, map[string]any{
				"name": resource.Name, "singular": resource.SingularName, "kind": resource.Kind,
				"namespaced": resource.Namespaced, "verbs": resource.Verbs,
			})
		}
	}
	return all
}

// specOf lists the fields of the kind's spec.
func specOf(text []byte, t target) ([]string, error) {
	type schemas struct {
		Properties map[string]struct {
			Properties map[string]any `json:"properties"`
		} `json:"properties"`
		Kinds []metav1.GroupVersionKind `json:"x-kubernetes-group-version-kind"`
	}
	var document struct {
		Components struct {
			Schemas map[string]schemas `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(text, &document); err != nil {
		return nil, err
	}
	for _, s := range document.Components.Schemas {
		for _, kind := range s.Kinds {
			if kind.Group == t.Group && kind.Kind == t.kind {
				var fields []string
				for field := range s.Properties["spec"].Properties {
					fields = append(fields, field)
				}
				sort.Strings(fields)
				return fields, nil
			}
		}
	}
	return nil, fmt.Errorf("OpenAPI v3 has no %s", t.kind)
}
