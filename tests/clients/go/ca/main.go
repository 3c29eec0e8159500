// A CA whose key is in the cloud, with ThalesGroup/crypto11 and crypto/x509. Issues its own certificate, and a server certificate for
// a request.
package main

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha1"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"flag"
	"fmt"
	"log"
	"math/big"
	"os"
	"time"

	"github.com/ThalesGroup/crypto11"
)

var (
	config  = flag.String("config", "crypto11.json", "crypto11's configuration")
	label   = flag.String("label", "", "the key's label")
	request = flag.String("request", "server.csr", "the server's request")
	caOut   = flag.String("ca", "ca.pem", "where the CA's certificate goes")
	out     = flag.String("out", "server.pem", "where the server's certificate goes")
)

func main() {
	flag.Parse()
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	token, err := crypto11.ConfigureFromFile(*config)
	if err != nil {
		return err
	}
	defer token.Close()
	signer, err := token.FindKeyPair(nil, []byte(*label))
	if err != nil {
		return err
	}

	ca, err := initCA(signer)
	if err != nil {
		return err
	}
	if err := write(*caOut, ca.Raw); err != nil {
		return err
	}

	text, err := os.ReadFile(*request)
	if err != nil {
		return err
	}
	block, _ := pem.Decode(text)
	if block == nil || block.Type != "CERTIFICATE REQUEST" {
		return fmt.Errorf("%s has no certificate request in PEM format", *request)
	}
	issued, err := issue(signer, ca, block.Bytes)
	if err != nil {
		return err
	}
	return write(*out, issued)
}

func initCA(signer crypto.Signer) (*x509.Certificate, error) {
	id, err := keyID(signer.Public())
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{Organization: []string{"Example"}, CommonName: "Example CA"},
		NotBefore:             now.Add(-10 * time.Minute).UTC(),
		NotAfter:              now.AddDate(10, 0, 0).UTC(),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		BasicConstraintsValid: true,
		IsCA:                  true,
		MaxPathLenZero:        true,
		SubjectKeyId:          id,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func issue(signer crypto.Signer, ca *x509.Certificate, der []byte) ([]byte, error) {
	request, err := x509.ParseCertificateRequest(der)
	if err != nil {
		return nil, err
	}
	if err := request.CheckSignature(); err != nil {
		return nil, err
	}
	id, err := keyID(request.PublicKey)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber:   big.NewInt(2),
		Subject:        request.Subject,
		DNSNames:       request.DNSNames,
		NotBefore:      now.Add(-10 * time.Minute).UTC(),
		NotAfter:       now.AddDate(1, 0, 0).UTC(),
		KeyUsage:       x509.KeyUsageDigitalSignature,
		ExtKeyUsage:    []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		SubjectKeyId:   id,
		AuthorityKeyId: ca.SubjectKeyId,
	}
	if _, isRSA := signer.Public().(*rsa.PublicKey); isRSA {
		template.SignatureAlgorithm = x509.SHA256WithRSAPSS
	}
	return x509.CreateCertificate(rand.Reader, template, ca, request.PublicKey, signer)
}

func keyID(key crypto.PublicKey) ([]byte, error) {
	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return nil, err
	}
	sum := sha1.Sum(der)
	return sum[:], nil
}

func write(path string, der []byte) error {
	return os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600)
}
