// Karpenter with its kwok provider, which launches nodes that are objects alone, and a switch: capacity types that are
// named in a file cannot be launched, as when a cloud has no capacity of that kind. `karpenter crds` prints the
// definitions of its kinds.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
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
	"sigs.k8s.io/karpenter/pkg/scheduling"
)

// The file with the capacity types that cannot be launched now, read at each launch. A line has one, and for how long
// after a refused launch it is shown as unavailable, as clouds' providers do for some minutes: `spot 3m`.
const closedEnv = "KARPENTER_REFUSED_FILE"

type limited struct {
	cloudprovider.CloudProvider
	mutex       sync.Mutex
	unavailable map[string]time.Time
}

func closed() (map[string]time.Duration, error) {
	text, err := os.ReadFile(os.Getenv(closedEnv))
	if err != nil {
		return nil, fmt.Errorf("reading what cannot be launched: %w", err)
	}
	found := map[string]time.Duration{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		switch len(fields) {
		case 0:
		case 1:
			found[fields[0]] = 0
		default:
			if found[fields[0]], err = time.ParseDuration(fields[1]); err != nil {
				return nil, fmt.Errorf("reading what cannot be launched: %w", err)
			}
		}
	}
	return found, nil
}

func (l *limited) Create(ctx context.Context, claim *v1.NodeClaim) (*v1.NodeClaim, error) {
	refused, err := closed()
	if err != nil {
		return nil, err
	}
	claim = claim.DeepCopy()
	asked := requirementsOf(claim)
	if len(refused) > 0 {
		claim.Spec.Requirements = append(claim.Spec.Requirements, v1.NodeSelectorRequirementWithMinValues{
			Key:      v1.CapacityTypeLabelKey,
			Operator: corev1.NodeSelectorOpNotIn,
			Values:   slices.Sorted(maps.Keys(refused)),
		})
	}
	types, err := l.CloudProvider.GetInstanceTypes(ctx, nil)
	if err != nil {
		return nil, err
	}
	// The provider takes the cheapest offering of each type that is named, and panics at one that has none.
	offered := cloudprovider.InstanceTypes(types).Compatible(requirementsOf(claim))
	for i := range claim.Spec.Requirements {
		requirement := &claim.Spec.Requirements[i]
		if requirement.Key != corev1.LabelInstanceTypeStable {
			continue
		}
		requirement.Values = slices.DeleteFunc(requirement.Values, func(name string) bool {
			return !slices.ContainsFunc(offered, func(each *cloudprovider.InstanceType) bool { return each.Name == name })
		})
		if len(requirement.Values) == 0 {
			return nil, cloudprovider.NewInsufficientCapacityError(l.refuse(refused, asked))
		}
	}
	return l.CloudProvider.Create(ctx, claim)
}

// refuse has what was asked for in vain shown as unavailable from now on, and says so.
func (l *limited) refuse(refused map[string]time.Duration, asked scheduling.Requirements) error {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	var names []string
	for name, shown := range refused {
		if asked.Get(v1.CapacityTypeLabelKey).Has(name) {
			names = append(names, name)
			l.unavailable[name] = time.Now().Add(shown)
		}
	}
	slices.Sort(names)
	return fmt.Errorf("there is no capacity of %s", strings.Join(names, ", "))
}

func (l *limited) GetInstanceTypes(ctx context.Context, pool *v1.NodePool) ([]*cloudprovider.InstanceType, error) {
	types, err := l.CloudProvider.GetInstanceTypes(ctx, pool)
	if err != nil {
		return nil, err
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	now := time.Now()
	maps.DeleteFunc(l.unavailable, func(_ string, until time.Time) bool { return until.Before(now) })
	if len(l.unavailable) == 0 {
		return types, nil
	}
	shown := make([]*cloudprovider.InstanceType, 0, len(types))
	for _, each := range types {
		// Others hold the originals.
		seen := &cloudprovider.InstanceType{}
		each.DeepCopyInto(seen)
		for _, offering := range seen.Offerings {
			if _, gone := l.unavailable[offering.CapacityType()]; gone {
				offering.Available = false
			}
		}
		shown = append(shown, seen)
	}
	return shown, nil
}

func requirementsOf(claim *v1.NodeClaim) scheduling.Requirements {
	return scheduling.NewNodeSelectorRequirementsWithMinValues(claim.Spec.Requirements...)
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
	undecorated := &limited{
		CloudProvider: kwok.NewCloudProvider(ctx, op.GetClient(), instanceTypes),
		unavailable:   map[string]time.Time{},
	}
	provider := overlay.Decorate(undecorated, op.GetClient(), op.InstanceTypeStore)
	cluster := state.NewCluster(op.Clock, op.GetClient(), provider)
	op.WithControllers(ctx, controllers.NewControllers(
		ctx, op.Manager, op.Clock, op.GetClient(), op.EventRecorder, provider, undecorated, cluster, op.InstanceTypeStore,
	)...).Start(ctx)
}
