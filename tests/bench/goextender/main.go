// An ordinary scheduler extender in Go, the peer of the benchmarks: net/http and encoding/json of the standard
// library, nothing tuned. Filter keeps the nodes of one capacity class, prioritize gives every node a score.
//
// Answers carry a Content-Length, because kube-scheduler opens a new connection after every chunked answer: without
// it this peer would be slower still.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
)

type pod struct {
	Metadata struct {
		Name, Namespace, UID string
		Labels, Annotations  map[string]string
		OwnerReferences      []struct {
			Kind, Name, UID string
			Controller      bool
		}
	}
}

type extenderArgs struct {
	Pod       *pod
	NodeNames *[]string
}

type filterResult struct {
	NodeNames                  *[]string
	FailedNodes                map[string]string
	FailedAndUnresolvableNodes map[string]string
	Error                      string
}

type hostPriority struct {
	Host  string
	Score int64
}

var (
	classes = map[string]string{}
	lean    = flag.Bool("lean", false, "answer NodeNames only, without a reason for each node that fails")
	spot    = flag.Int("spot", 70, "percentage of the pods that go to spot nodes")
	counter atomic.Int64
)

func main() {
	addr := flag.String("addr", "127.0.0.1:0", "address to listen on")
	nodes := flag.String("nodes", "", "file with lines of NODE CLASS")
	flag.Parse()
	load(*nodes)
	http.HandleFunc("/filter", handle(filter))
	http.HandleFunc("/prioritize", handle(prioritize))
	log.Fatal(http.ListenAndServe(*addr, nil))
}

func load(path string) {
	file, err := os.Open(path)
	if err != nil {
		log.Fatal(err)
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		name, class, _ := strings.Cut(lines.Text(), " ")
		classes[name] = class
	}
}

func handle(verb func(*extenderArgs) any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		var args extenderArgs
		if err := json.Unmarshal(body, &args); err != nil || args.Pod == nil || args.NodeNames == nil {
			http.Error(w, "no ExtenderArgs", http.StatusBadRequest)
			return
		}
		answer, err := json.Marshal(verb(&args))
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
		w.Write(answer)
	}
}

// The class of a pod: by a counter, without memory of earlier answers.
func wanted() string {
	if int(counter.Add(1)*int64(*spot)%100) < *spot {
		return "spot"
	}
	return "on-demand"
}

func filter(args *extenderArgs) any {
	class := wanted()
	passed := make([]string, 0, len(*args.NodeNames))
	result := &filterResult{NodeNames: &passed}
	if !*lean {
		result.FailedAndUnresolvableNodes = map[string]string{}
	}
	for _, name := range *args.NodeNames {
		if classes[name] == class {
			passed = append(passed, name)
		} else if !*lean {
			result.FailedAndUnresolvableNodes[name] = "node is not of class " + class
		}
	}
	return result
}

func prioritize(args *extenderArgs) any {
	class := wanted()
	scores := make([]hostPriority, 0, len(*args.NodeNames))
	for _, name := range *args.NodeNames {
		score := int64(0)
		if classes[name] == class {
			score = 10
		}
		scores = append(scores, hostPriority{Host: name, Score: score})
	}
	return scores
}
