// Command kindconfig reads a kind configuration with kind's own loader and validation, and prints as JSON what kind
// would make of it: each node with its labels and mounts, and the kubeadm configuration that the node would be given,
// after all patches. It starts nothing.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"

	"sigs.k8s.io/kind/pkg/cluster/constants"
	"sigs.k8s.io/kind/pkg/cluster/internal/kubeadm"
	"sigs.k8s.io/kind/pkg/internal/apis/config"
	"sigs.k8s.io/kind/pkg/internal/apis/config/encoding"
	"sigs.k8s.io/kind/pkg/internal/patch"
	"sigs.k8s.io/yaml"
)

type mount struct {
	HostPath      string `json:"hostPath"`
	ContainerPath string `json:"containerPath"`
	ReadOnly      bool   `json:"readOnly"`
}

type node struct {
	Role    string            `json:"role"`
	Labels  map[string]string `json:"labels"`
	Mounts  []mount           `json:"mounts"`
	Kubeadm []map[string]any  `json:"kubeadm"`
}

type cluster struct {
	Name          string `json:"name"`
	ServiceSubnet string `json:"serviceSubnet"`
	Nodes         []node `json:"nodes"`
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: kindconfig FILE KUBERNETES-VERSION")
		os.Exit(2)
	}
	found, err := read(os.Args[1], os.Args[2])
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(found)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

func read(path, version string) (*cluster, error) {
	loaded, err := encoding.Load(path)
	if err != nil {
		return nil, err
	}
	if err := loaded.Validate(); err != nil {
		return nil, err
	}
	found := &cluster{Name: loaded.Name, ServiceSubnet: loaded.Networking.ServiceSubnet}
	for _, each := range loaded.Nodes {
		documents, err := kubeadmConfig(loaded, &each, version)
		if err != nil {
			return nil, err
		}
		made := node{Role: string(each.Role), Labels: each.Labels, Kubeadm: documents}
		for _, m := range each.ExtraMounts {
			made.Mounts = append(made.Mounts, mount{m.HostPath, m.ContainerPath, m.Readonly})
		}
		found.Nodes = append(found.Nodes, made)
	}
	return found, nil
}

// kubeadmConfig does what kind does on each node (pkg/cluster/internal/create/actions/config): the template, then the
// cluster's patches, then the node's.
func kubeadmConfig(loaded *config.Cluster, each *config.Node, version string) ([]map[string]any, error) {
	labels := []string{}
	for key, value := range each.Labels {
		labels = append(labels, key+"="+value)
	}
	sort.Strings(labels)
	text, err := kubeadm.Config(kubeadm.ConfigData{
		ClusterName:          loaded.Name,
		KubernetesVersion:    version,
		ControlPlaneEndpoint: "control-plane:6443",
		APIBindPort:          6443,
		APIServerAddress:     loaded.Networking.APIServerAddress,
		NodeProvider:         "docker",
		ControlPlane:         string(each.Role) == constants.ControlPlaneNodeRoleValue,
		NodeAddress:          "172.18.0.2",
		NodeName:             string(each.Role),
		Token:                kubeadm.Token,
		KubeProxyMode:        string(loaded.Networking.KubeProxyMode),
		PodSubnet:            loaded.Networking.PodSubnet,
		ServiceSubnet:        loaded.Networking.ServiceSubnet,
		FeatureGates:         loaded.FeatureGates,
		RuntimeConfig:        loaded.RuntimeConfig,
		IPFamily:             loaded.Networking.IPFamily,
		NodeLabels:           strings.Join(labels, ","),
	})
	if err != nil {
		return nil, err
	}
	text, err = patch.KubeYAML(text, loaded.KubeadmConfigPatches, loaded.KubeadmConfigPatchesJSON6902)
	if err != nil {
		return nil, err
	}
	text, err = patch.KubeYAML(text, each.KubeadmConfigPatches, each.KubeadmConfigPatchesJSON6902)
	if err != nil {
		return nil, err
	}
	documents := []map[string]any{}
	for _, part := range strings.Split(text, "\n---\n") {
		document := map[string]any{}
		if err := yaml.Unmarshal([]byte(part), &document); err != nil {
			return nil, err
		}
		documents = append(documents, document)
	}
	return documents, nil
}
