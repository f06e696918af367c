// Reads a kind configuration as kind itself does. kind's loader is internal to its module: Go lets a module import it
// whose path lies below its parent's, wherever the module's files are.
module sigs.k8s.io/kind/pkg/cluster/kindconfig

go 1.26.0

require (
	sigs.k8s.io/kind v0.33.0
	sigs.k8s.io/yaml v1.4.0
)

require (
	github.com/BurntSushi/toml v1.4.0 // indirect
	github.com/evanphx/json-patch/v5 v5.6.0 // indirect
	github.com/pelletier/go-toml v1.9.5 // indirect
	github.com/pkg/errors v0.9.1 // indirect
	go.yaml.in/yaml/v3 v3.0.4 // indirect
)
