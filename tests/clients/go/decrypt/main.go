// Decrypts with a key in the cloud, with ThalesGroup/crypto11: what crypto/rsa encrypts under the service's public key. With -scep by
// the same key that signs, and by PKCS#1 v1.5, too, which is how SCEP clients encrypt.
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
	scep   = flag.Bool("scep", false, "sign, and decrypt by PKCS#1 v1.5, too")
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
		return errors.New("it can't decrypt")
	}

	message := []byte("a challenge password, say")
	oaep, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, key, message, nil)
	if err != nil {
		return err
	}
	if err := decrypt(private, oaep, message, &rsa.OAEPOptions{Hash: crypto.SHA256}); err != nil {
		return fmt.Errorf("OAEP: %w", err)
	}
	if !*scep {
		return nil
	}
	pkcs1, err := rsa.EncryptPKCS1v15(rand.Reader, key, message)
	if err != nil {
		return err
	}
	if err := decrypt(private, pkcs1, message, nil); err != nil {
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
		return errors.New("another text")
	}
	ciphertext[20] ^= 1
	if text, err := private.Decrypt(rand.Reader, ciphertext, options); err == nil && bytes.Equal(text, message) {
		return errors.New("a changed ciphertext gives the same text")
	}
	return nil
}
