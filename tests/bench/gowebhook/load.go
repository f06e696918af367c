package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Requests on each connection before those that count: caches, on both sides.
const warmUp = 50

// load prints a JSON object: seconds, and the microseconds of each request.
func load(target, ca, path string, connections, requests int) {
	where, err := url.Parse(target)
	if err != nil {
		log.Fatal(err)
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	content, err := os.ReadFile(path)
	if err != nil {
		log.Fatal(err)
	}
	messages := [][]byte{}
	for _, body := range bytes.Split(bytes.TrimSpace(content), []byte("\n")) {
		head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: kube-apiserver\r\nContent-Length: %d\r\n"+
			"Accept: application/json\r\nContent-Type: application/json\r\nAccept-Encoding: gzip\r\n\r\n",
			where.Path, where.Host, len(body))
		messages = append(messages, append([]byte(head), body...))
	}
	each := requests / connections
	times := make([][]float64, connections)
	var ready, done sync.WaitGroup
	start := make(chan struct{})
	ready.Add(connections)
	done.Add(connections)
	for c := range times {
		go func() {
			defer done.Done()
			conn, err := tls.Dial("tcp", where.Host, &tls.Config{RootCAs: roots})
			if err != nil {
				log.Fatal(err)
			}
			reader := bufio.NewReaderSize(conn, 64*1024)
			for n := 0; n < warmUp; n++ {
				exchange(conn, reader, messages[(c*each+n)%len(messages)])
			}
			ready.Done()
			<-start
			for n := 0; n < each; n++ {
				began := time.Now()
				exchange(conn, reader, messages[(c*each+n)%len(messages)])
				times[c] = append(times[c], float64(time.Since(began).Nanoseconds())/1000)
			}
		}()
	}
	ready.Wait()
	began := time.Now()
	close(start)
	done.Wait()
	all := []float64{}
	for _, some := range times {
		all = append(all, some...)
	}
	json.NewEncoder(os.Stdout).Encode(map[string]any{"seconds": time.Since(began).Seconds(), "times": all})
}

// exchange is as little of a client as can be: what is left of a core belongs to the servers.
func exchange(conn *tls.Conn, reader *bufio.Reader, message []byte) {
	if _, err := conn.Write(message); err != nil {
		log.Fatal(err)
	}
	status, length := "", 0
	for {
		line, err := reader.ReadString('\n')
		if err != nil {
			log.Fatal(err)
		}
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			break
		}
		if status == "" {
			status = line
		}
		if name, value, ok := strings.Cut(line, ":"); ok && strings.EqualFold(name, "content-length") {
			length, _ = strconv.Atoi(strings.TrimSpace(value))
		}
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(reader, body); err != nil {
		log.Fatal(err)
	}
	if !strings.HasPrefix(status, "HTTP/1.1 200") || !bytes.Contains(body, []byte(`"patch"`)) {
		log.Fatalf("the server answered %s: %.300s", status, body)
	}
}
