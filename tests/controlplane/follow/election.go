package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// elections takes part in the election again and again: who has lost may win later.
func elections(ctx context.Context, config *rest.Config, identity, lease string) error {
	namespace, name, found := strings.Cut(lease, "/")
	if !found {
		return fmt.Errorf("-lease: %q is not namespace/name", lease)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return err
	}
	say := func(kind string) { teller{"leader", ""}.say(kind).print() }
	elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
		Lock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: namespace, Name: name},
			Client:     client.CoordinationV1(),
			LockConfig: resourcelock.ResourceLockConfig{Identity: identity},
		},
		LeaseDuration: 6 * time.Second,
		RenewDeadline: 4 * time.Second,
		RetryPeriod:   time.Second,
		Callbacks: leaderelection.LeaderCallbacks{
			OnStartedLeading: func(context.Context) { say("LED") },
			OnStoppedLeading: func() { say("LOST") },
		},
	})
	if err != nil {
		return err
	}
	for ctx.Err() == nil {
		elector.Run(ctx)
	}
	return nil
}
