// A TLS server whose key is in the cloud, with crypto11, and concurrent clients. The clients use Go's standard library and trust only
// the certificate in -trust.
package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"sync"
	"time"

	"github.com/ThalesGroup/crypto11"
)

var (
	config     = flag.String("config", "crypto11.json", "crypto11's configuration")
	trust      = flag.String("trust", "", "the server's certificate, for the clients")
	handshakes = flag.Int("handshakes", 200, "how many, of each version")
	clients    = flag.Int("clients", 16, "how many at once")
)

var versions = []struct {
	name string
	id   uint16
}{{"TLS 1.2", tls.VersionTLS12}, {"TLS 1.3", tls.VersionTLS13}}

func main() {
	flag.Parse()
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	text, err := os.ReadFile(*trust)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return fmt.Errorf("%s has no certificate in PEM format", *trust)
	}

	token, err := crypto11.ConfigureFromFile(*config)
	if err != nil {
		return err
	}
	defer token.Close()
	// The keys of the token that have a certificate in the token.
	certificates, err := token.FindAllPairedCertificates()
	if err != nil {
		return err
	}
	if len(certificates) != 1 {
		return fmt.Errorf("expected one certificate with a key in the token, found %d", len(certificates))
	}

	for _, version := range versions {
		began := time.Now()
		listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
			Certificates:           certificates,
			MinVersion:             version.id,
			MaxVersion:             version.id,
			SessionTicketsDisabled: true, // so that each handshake needs a signature
		})
		if err != nil {
			return err
		}
		go serve(listener)
		err = connectAll(listener.Addr().String(), roots)
		listener.Close()
		if err != nil {
			return fmt.Errorf("%s: %w", version.name, err)
		}
		fmt.Printf("%s: %d handshakes by %d clients in %s\n", version.name, *handshakes, *clients,
			time.Since(began).Round(time.Millisecond))
	}
	return nil
}

func serve(listener net.Listener) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer connection.Close()
			connection.SetDeadline(time.Now().Add(time.Minute))
			io.Copy(connection, connection)
		}()
	}
}

func connectAll(address string, roots *x509.CertPool) error {
	jobs := make(chan int)
	var lock sync.Mutex
	var failures []error
	var group sync.WaitGroup
	for range *clients {
		group.Add(1)
		go func() {
			defer group.Done()
			for job := range jobs {
				if err := connect(address, roots, job); err != nil {
					lock.Lock()
					failures = append(failures, fmt.Errorf("handshake %d: %w", job, err))
					lock.Unlock()
				}
			}
		}()
	}
	for job := range *handshakes {
		jobs <- job
	}
	close(jobs)
	group.Wait()
	if len(failures) > 0 {
		return fmt.Errorf("%d of %d handshakes failed: %w", len(failures), *handshakes, failures[0])
	}
	return nil
}

func connect(address string, roots *x509.CertPool, job int) error {
	dialer := &net.Dialer{Timeout: time.Minute}
	connection, err := tls.DialWithDialer(dialer, "tcp", address, &tls.Config{
		// The certificate has no host name, so the chain is verified here, without one.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			_, err := state.PeerCertificates[0].Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}})
			return err
		},
	})
	if err != nil {
		return err
	}
	defer connection.Close()
	connection.SetDeadline(time.Now().Add(time.Minute))
	message := fmt.Sprintf("message %d", job)
	if _, err := io.WriteString(connection, message); err != nil {
		return err
	}
	answer := make([]byte, len(message))
	if _, err := io.ReadFull(connection, answer); err != nil {
		return err
	}
	if string(answer) != message {
		return errors.New("the server has sent back another message")
	}
	return nil
}
