// An ordinary mutating webhook in Go, the peer of the benchmarks: net/http over TLS and encoding/json of the standard
// library, nothing tuned. It knows no cluster: a counter stands for the decision, the patch is the one Spotmix makes.
//
// With -load it is the client of both: one request at a time on each of -connections connections.
package main

import (
	"encoding/json"
	"flag"
	"io"
	"log"
	"net/http"
	"strconv"
	"sync/atomic"
)

var (
	scheduler = flag.String("scheduler", "spotmix", "schedulerName to give")
	counter   atomic.Int64
	spotTaint = []toleration{
		{Key: "cloud.google.com/gke-spot", Operator: "Equal", Value: "true", Effect: "NoSchedule"},
		{Key: "kubernetes.azure.com/scalesetpriority", Operator: "Equal", Value: "spot", Effect: "NoSchedule"},
		{Key: "oci.oraclecloud.com/oke-is-preemptible", Operator: "Exists", Effect: "NoSchedule"},
		{Key: "scheduling.cast.ai/spot", Operator: "Exists", Effect: "NoSchedule"},
	}
)

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "address to listen on")
	cert := flag.String("cert", "", "PEM file of the certificate")
	key := flag.String("key", "", "PEM file of its key")
	target := flag.String("load", "", "URL to send reviews to, instead of serving")
	ca := flag.String("ca", "", "PEM file of the CA of the server to load")
	bodies := flag.String("bodies", "", "file with a review in each line")
	connections := flag.Int("connections", 1, "connections to load it with")
	requests := flag.Int("requests", 1000, "requests to send over all of them")
	flag.Parse()
	if *target != "" {
		load(*target, *ca, *bodies, *connections, *requests)
		return
	}
	http.HandleFunc("/mutate/pods", handle)
	log.Fatal(http.ListenAndServeTLS(*addr, *cert, *key, nil))
}

func handle(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var asked review
	if err := json.Unmarshal(body, &asked); err != nil || asked.Request == nil {
		http.Error(w, "no AdmissionReview", http.StatusBadRequest)
		return
	}
	var p pod
	if err := json.Unmarshal(asked.Request.Object, &p); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	patch, err := json.Marshal(mutate(&p))
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	answer, err := json.Marshal(review{
		APIVersion: "admission.k8s.io/v1",
		Kind:       "AdmissionReview",
		Response:   &response{UID: asked.Request.UID, Allowed: true, Patch: patch, PatchType: "JSONPatch"},
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	w.Write(answer)
}

func mutate(p *pod) []operation {
	var patch []operation
	if p.Spec.SchedulerName == "" || p.Spec.SchedulerName == "default-scheduler" {
		patch = append(patch, operation{"replace", "/spec/schedulerName", *scheduler})
	}
	for _, wanted := range spotTaint {
		if !tolerates(p.Spec.Tolerations, wanted) {
			patch = append(patch, operation{"add", "/spec/tolerations/-", wanted})
		}
	}
	if p.Spec.Affinity == nil && len(p.Spec.NodeSelector) == 0 {
		class := "spot"
		if counter.Add(1)%10 < 3 {
			class = "on-demand"
		}
		term := selectorTerm{[]expression{{Key: "karpenter.sh/capacity-type", Operator: "In", Values: []string{class}}}}
		preferred := affinity{NodeAffinity: &nodeAffinity{Preferred: []preferredTerm{{Weight: 50, Preference: term}}}}
		patch = append(patch, operation{"add", "/spec/affinity", preferred})
	}
	return patch
}

func tolerates(held []toleration, wanted toleration) bool {
	for _, t := range held {
		sameKey := t.Key == wanted.Key || (t.Key == "" && t.Operator == "Exists")
		if sameKey && (t.Effect == "" || t.Effect == wanted.Effect) && (t.Operator == "Exists" || t.Value == wanted.Value) {
			return true
		}
	}
	return false
}
