// Decrypts with a key in the cloud, with ThalesGroup/crypto11. crypto/rsa encrypts with OAEP and the public key in -public. With -pkcs1
// the key also signs, and decrypts PKCS#1 v1.5. A changed OAEP ciphertext must be refused.
package main

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"log"
	"os"

	"github.com/ThalesGroup/crypto11"
)

var (
	config = flag.String("config", "crypto11.json", "crypto11's configuration")
	label  = flag.String("label", "", "the key's label")
	public = flag.String("public", "public.pem", "its public half")
	pkcs1  = flag.Bool("pkcs1", false, "sign, and decrypt PKCS#1 v1.5, as well")
)

func main() {
	flag.Parse()
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	text, err := os.ReadFile(*public)
	if err != nil {
		return err
	}
	block, _ := pem.Decode(text)
	if block == nil {
		return errors.New(*public + " has no PEM block")
	}
	parsed, err := x509.ParsePKIXPublicKey(block.Bytes)
	if err != nil {
		return err
	}
	key := parsed.(*rsa.PublicKey)

	token, err := crypto11.ConfigureFromFile(*config)
	if err != nil {
		return err
	}
	defer token.Close()
	found, err := token.FindKeyPair(nil, []byte(*label))
	if err != nil {
		return err
	}
	private, ok := found.(crypto11.SignerDecrypter)
	if !ok {
		return errors.New("the key does not implement crypto.Decrypter")
	}

	message := []byte("a challenge password, say")
	oaep := &rsa.OAEPOptions{Hash: crypto.SHA256}
	ciphertext, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, key, message, nil)
	if err != nil {
		return err
	}
	if err := decrypt(private, ciphertext, message, oaep); err != nil {
		return fmt.Errorf("OAEP: %w", err)
	}
	ciphertext[20] ^= 1
	if _, err := private.Decrypt(rand.Reader, ciphertext, oaep); err == nil {
		return errors.New("OAEP: a changed ciphertext was decrypted without an error")
	}
	if !*pkcs1 {
		return nil
	}

	ciphertext, err = rsa.EncryptPKCS1v15(rand.Reader, key, message)
	if err != nil {
		return err
	}
	if err := decrypt(private, ciphertext, message, nil); err != nil {
		return fmt.Errorf("PKCS#1 v1.5: %w", err)
	}
	digest := sha256.Sum256(message)
	signature, err := private.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return err
	}
	return rsa.VerifyPKCS1v15(key, crypto.SHA256, digest[:], signature)
}

func decrypt(private crypto.Decrypter, ciphertext, message []byte, options crypto.DecrypterOpts) error {
	text, err := private.Decrypt(rand.Reader, ciphertext, options)
	if err != nil {
		return err
	}
	if !bytes.Equal(text, message) {
		return errors.New("the decrypted text differs from the original")
	}
	return nil
}
