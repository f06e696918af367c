// Karpenter with its kwok provider, which launches nodes that are objects alone, and a switch: capacity types that are
// named in a file cannot be launched, as when a cloud has no capacity of that kind. `karpenter crds` prints the
// definitions of its kinds.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/log"
	kwokapis "sigs.k8s.io/karpenter/kwok/apis"
	kwok "sigs.k8s.io/karpenter/kwok/cloudprovider"
	"sigs.k8s.io/karpenter/pkg/apis"
	v1 "sigs.k8s.io/karpenter/pkg/apis/v1"
	"sigs.k8s.io/karpenter/pkg/cloudprovider"
	"sigs.k8s.io/karpenter/pkg/cloudprovider/overlay"
	"sigs.k8s.io/karpenter/pkg/controllers"
	"sigs.k8s.io/karpenter/pkg/controllers/state"
	"sigs.k8s.io/karpenter/pkg/operator"
)

// The file with the capacity types that cannot be launched now, one a line. It is read at each launch.
const refusedEnv = "KARPENTER_REFUSED_FILE"

type limited struct {
	cloudprovider.CloudProvider
}

func (l limited) Create(ctx context.Context, claim *v1.NodeClaim) (*v1.NodeClaim, error) {
	text, err := os.ReadFile(os.Getenv(refusedEnv))
	if err != nil {
		return nil, fmt.Errorf("reading what cannot be launched: %w", err)
	}
	refused := strings.Fields(string(text))
	if len(refused) == 0 {
		return l.CloudProvider.Create(ctx, claim)
	}
	claim = claim.DeepCopy()
	asked := false
	for i := range claim.Spec.Requirements {
		requirement := &claim.Spec.Requirements[i]
		if requirement.Key != v1.CapacityTypeLabelKey || requirement.Operator != "In" {
			continue
		}
		asked = true
		requirement.Values = slices.DeleteFunc(slices.Clone(requirement.Values), func(value string) bool {
			return slices.Contains(refused, value)
		})
		if len(requirement.Values) == 0 {
			return nil, cloudprovider.NewInsufficientCapacityError(fmt.Errorf("there is no capacity of %v", refused))
		}
	}
	if !asked {
		return nil, cloudprovider.NewInsufficientCapacityError(fmt.Errorf("no capacity type was asked for"))
	}
	return l.CloudProvider.Create(ctx, claim)
}

func main() {
	if slices.Contains(os.Args[1:], "crds") {
		// A line of JSON each; the files of the module are YAML.
		for _, crd := range append(slices.Clone(apis.CRDs), kwokapis.CRDs...) {
			text, _ := json.Marshal(crd)
			fmt.Println(string(text))
		}
		return
	}
	ctx, op := operator.NewOperator()
	instanceTypes, err := kwok.ConstructInstanceTypes(ctx)
	if err != nil {
		log.FromContext(ctx).Error(err, "instance types cannot be read")
		os.Exit(1)
	}
	undecorated := limited{kwok.NewCloudProvider(ctx, op.GetClient(), instanceTypes)}
	provider := overlay.Decorate(undecorated, op.GetClient(), op.InstanceTypeStore)
	cluster := state.NewCluster(op.Clock, op.GetClient(), provider)
	op.WithControllers(ctx, controllers.NewControllers(
		ctx, op.Manager, op.Clock, op.GetClient(), op.EventRecorder, provider, undecorated, cluster, op.InstanceTypeStore,
	)...).Start(ctx)
}
