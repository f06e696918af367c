// Command podstreams is what a kubelet and a container runtime do about port-forwards, with the code they do it with:
// the kubelet's route and its proxy, and the streaming server that containerd and CRI-O are built with. The ports of a
// pod are those of this machine's loopback address.
//
// It prints the port it listens on, and ends when its standard input does.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/proxy"
	runtimeapi "k8s.io/cri-api/pkg/apis/runtime/v1"
	"k8s.io/cri-streaming/pkg/streaming"
	"k8s.io/cri-streaming/pkg/streaming/portforward"
	"k8s.io/cri-streaming/pkg/streaming/remotecommand"
)

const loopback = "127.0.0.1"

var errNotHere = errors.New("only ports are forwarded here")

// runtime is the container runtime: every pod is in the network of this machine.
type runtime struct{}

func (runtime) Exec(context.Context, string, []string, io.Reader, io.WriteCloser, io.WriteCloser, bool, <-chan remotecommand.TerminalSize) error {
	return errNotHere
}

func (runtime) Attach(context.Context, string, io.Reader, io.WriteCloser, io.WriteCloser, bool, <-chan remotecommand.TerminalSize) error {
	return errNotHere
}

// PortForward copies until either side ends, as containerd does.
func (runtime) PortForward(ctx context.Context, sandbox string, port int32, stream io.ReadWriteCloser) error {
	conn, err := net.Dial("tcp", net.JoinHostPort(loopback, strconv.Itoa(int(port))))
	if err != nil {
		return fmt.Errorf("failed to connect to localhost:%d inside namespace %q: %w", port, sandbox, err)
	}
	defer conn.Close()
	done := make(chan error, 2)
	copies := func(to io.Writer, from io.Reader) {
		_, err := io.Copy(to, from)
		done <- err
	}
	go copies(stream, conn)
	go copies(conn, stream)
	select {
	case err = <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// kubelet has the route of pkg/kubelet/server, for the pods it was told of.
type kubelet struct {
	pods    map[string]bool
	streams streaming.Server
}

type failed struct{}

func (failed) Error(w http.ResponseWriter, _ *http.Request, err error) {
	http.Error(w, err.Error(), http.StatusInternalServerError)
}

func (k kubelet) portForward(w http.ResponseWriter, request *http.Request) {
	options, err := portforward.NewV4Options(request)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	pod := request.PathValue("namespace") + "/" + request.PathValue("name")
	if !k.pods[pod] {
		http.Error(w, "pod does not exist", http.StatusNotFound)
		return
	}
	answer, err := k.streams.GetPortForward(&runtimeapi.PortForwardRequest{PodSandboxId: pod, Port: options.Ports})
	if err != nil {
		streaming.WriteError(err, w)
		return
	}
	location, err := url.Parse(answer.Url)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	proxy.NewUpgradeAwareHandler(location, nil, false, true, failed{}).ServeHTTP(w, request)
}

func main() {
	cert := flag.String("cert", "", "file with the kubelet's certificate")
	key := flag.String("key", "", "file with its key")
	clientCA := flag.String("client-ca", "", "file with the authority of the API server's certificate")
	pods := flag.String("pods", "", "NAMESPACE/NAME of the pods that run, comma-separated")
	flag.Parse()
	if err := run(*cert, *key, *clientCA, strings.Split(*pods, ",")); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(cert, key, clientCA string, pods []string) error {
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return err
	}
	authority, err := os.ReadFile(clientCA)
	if err != nil {
		return err
	}
	clients := x509.NewCertPool()
	if !clients.AppendCertsFromPEM(authority) {
		return fmt.Errorf("%s: no certificate", clientCA)
	}
	inner, err := net.Listen("tcp", loopback+":0")
	if err != nil {
		return err
	}
	config := streaming.DefaultConfig
	config.Addr = inner.Addr().String()
	streams, err := streaming.NewServer(config, runtime{})
	if err != nil {
		return err
	}
	outer, err := tls.Listen("tcp", loopback+":0", &tls.Config{
		Certificates: []tls.Certificate{pair},
		ClientCAs:    clients,
		ClientAuth:   tls.RequireAndVerifyClientCert,
		NextProtos:   []string{"http/1.1"},
	})
	if err != nil {
		return err
	}
	known := map[string]bool{}
	for _, pod := range pods {
		known[pod] = true
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/portForward/{namespace}/{name}", kubelet{known, streams}.portForward)
	ended := make(chan error, 3)
	go func() { ended <- http.Serve(inner, streams) }()
	go func() { ended <- http.Serve(outer, mux) }()
	go func() {
		_, err := io.Copy(io.Discard, os.Stdin)
		ended <- err
	}()
	fmt.Println(outer.Addr().(*net.TCPAddr).Port)
	return <-ended
}
