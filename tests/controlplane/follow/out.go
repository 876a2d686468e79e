package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// line is one line of output.
type line struct {
	// Follower is who speaks.
	Follower string `json:"follower"`
	// Resource is the plural of what is followed.
	Resource string `json:"resource,omitempty"`
	// Type is SET (the object is as given), GONE, RESET (what was said before no longer counts), SYNCED (the first list has
	// been told), LED or LOST.
	Type            string            `json:"type"`
	Namespace       string            `json:"namespace,omitempty"`
	Name            string            `json:"name,omitempty"`
	ResourceVersion string            `json:"resourceVersion,omitempty"`
	UID             string            `json:"uid,omitempty"`
	Labels          map[string]string `json:"labels,omitempty"`
	// Owned is what the reconciler's index counts.
	Owned *int `json:"owned,omitempty"`
}

// printing keeps lines whole.
var printing sync.Mutex

func (l line) print() {
	text, err := json.Marshal(l)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return
	}
	printing.Lock()
	defer printing.Unlock()
	fmt.Println(string(text))
}

// teller says what one follower knows of one resource.
type teller struct{ follower, resource string }

func (t teller) say(kind string) line {
	return line{Follower: t.follower, Resource: t.resource, Type: kind}
}

func (t teller) about(kind string, object metav1.Object) line {
	l := t.say(kind)
	l.Namespace, l.Name = object.GetNamespace(), object.GetName()
	l.ResourceVersion, l.UID, l.Labels = object.GetResourceVersion(), string(object.GetUID()), object.GetLabels()
	return l
}
