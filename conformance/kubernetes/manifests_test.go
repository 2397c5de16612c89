// Package kubernetes checks the manifests of examples/ against the types of the Kubernetes
// API: every field must be one, and of its type.
package kubernetes

import (
	"bytes"
	"os"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

func TestManifests(t *testing.T) {
	b, err := os.ReadFile("../../examples/cluster/kubernetes.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var kinds []string
	for _, doc := range bytes.Split(b, []byte("\n---\n")) {
		var head struct {
			APIVersion, Kind string
			Metadata         struct{ Name string }
		}
		if err := yaml.Unmarshal(doc, &head); err != nil || head.Metadata.Name == "" {
			t.Fatalf("%v, or no name in:\n%s", err, doc)
		}
		kinds = append(kinds, head.Kind)
		object := map[string]any{
			"v1 Secret": &corev1.Secret{}, "v1 Service": &corev1.Service{}, "apps/v1 " +
				"Deployment": &appsv1.Deployment{},
			"policy/v1 PodDisruptionBudget":      &policyv1.PodDisruptionBudget{},
			"networking.k8s.io/v1 NetworkPolicy": &networkingv1.NetworkPolicy{},
		}[head.APIVersion+" "+head.Kind]
		if object == nil {
			t.Errorf("%s of %s is not a kind that is known here", head.Kind, head.APIVersion)
			continue
		}
		if err := yaml.UnmarshalStrict(doc, object); err != nil {
			t.Errorf("%s %s: %v", head.Kind, head.Metadata.Name, err)
		}
		if d, ok := object.(*appsv1.Deployment); ok {
			deployment(t, d)
		}
	}
	if want := []string{"Secret", "Service", "Service", "Deployment", "PodDisruptionBudget",
		"NetworkPolicy"}; !slices.Equal(kinds, want) {
		t.Errorf("the manifests are of the kinds %q, want %q", kinds, want)
	}
}

// deployment checks what the page about clusters says of it.
func deployment(t *testing.T, d *appsv1.Deployment) {
	pod := d.Spec.Template.Spec
	if d.Spec.Selector.MatchLabels["app"] != d.Spec.Template.Labels["app"] {
		t.Error("the deployment does not select its own pods")
	}
	c := pod.Containers[0]
	probe := c.ReadinessProbe
	if probe == nil || probe.HTTPGet == nil || probe.HTTPGet.Path != "/api/v1/solution/health" {
		t.Errorf("the readiness probe is %+v, want one of the health path", probe)
	}
	sleep := c.Lifecycle.PreStop.Sleep
	if grace := pod.TerminationGracePeriodSeconds; sleep == nil || grace == nil ||
		*grace <= sleep.Seconds+10 {
		t.Errorf("the grace period is %v, want more than preStop and a shutdown take", grace)
	}
}
