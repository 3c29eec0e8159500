// Uses a module as Choria's pkcs11 security provider does, with the same package, miekg/pkcs11/p11. It opens slot 0 of the module, or
// the only slot, logs in, finds the only private key and the only certificate, and signs with CKM_RSA_PKCS. Unlike Choria, it also
// supports elliptic curves and keys without a certificate.
package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"log"
	"math/big"
	"os"
	"slices"

	"github.com/miekg/pkcs11"
	"github.com/miekg/pkcs11/p11"
)

var (
	driver = flag.String("driver", "", "the module's path")
	slotID = flag.Uint("slot", 0, "the slot")
	file   = flag.String("file", "", "what to sign")
	out    = flag.String("out", "signature", "where the signature goes")
	public = flag.String("public", "public.pem", "where the public key goes")
)

var sha256Prefix = []byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}

func main() {
	flag.Parse()
	if err := run(); err != nil {
		log.Fatal(err)
	}
}

func run() error {
	data, err := os.ReadFile(*file)
	if err != nil {
		return err
	}
	module, err := p11.OpenModule(*driver)
	if err != nil {
		return err
	}
	slot, err := findSlot(module)
	if err != nil {
		return err
	}
	info, err := slot.TokenInfo()
	if err != nil {
		return err
	}
	session, err := slot.OpenSession()
	if err != nil {
		return err
	}
	defer session.Close()
	if err := session.Login("1234"); err != nil && !errors.Is(err, pkcs11.Error(pkcs11.CKR_USER_ALREADY_LOGGED_IN)) {
		return fmt.Errorf("login: %w", err)
	}

	object, err := find(session, pkcs11.CKO_PRIVATE_KEY)
	if err != nil {
		return fmt.Errorf("private key: %w", err)
	}
	key, from, err := readPublic(session)
	if err != nil {
		return err
	}
	signature, err := sign(p11.PrivateKey(object), key, data)
	if err != nil {
		return err
	}
	if err := session.Logout(); err != nil {
		return fmt.Errorf("logout: %w", err)
	}

	der, err := x509.MarshalPKIXPublicKey(key)
	if err != nil {
		return err
	}
	if err := os.WriteFile(*public, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(*out, signature, 0o600); err != nil {
		return err
	}
	fmt.Printf("signed with %s; key from its %s\n", info.Label, from)
	return nil
}

func findSlot(module p11.Module) (p11.Slot, error) {
	slots, err := module.Slots()
	if err != nil {
		return p11.Slot{}, err
	}
	if i := slices.IndexFunc(slots, func(slot p11.Slot) bool { return slot.ID() == *slotID }); i >= 0 {
		return slots[i], nil
	}
	if len(slots) == 1 {
		return slots[0], nil
	}
	return p11.Slot{}, fmt.Errorf("the module has %d slots, and none of them is slot %d", len(slots), *slotID)
}

// Returns the only object, or an error if there are none or several.
func find(session p11.Session, class uint) (p11.Object, error) {
	return session.FindObject([]*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, class)})
}

func sign(private p11.PrivateKey, public crypto.PublicKey, data []byte) ([]byte, error) {
	sum := sha256.Sum256(data)
	switch public := public.(type) {
	case *rsa.PublicKey:
		signature, err := private.Sign(*pkcs11.NewMechanism(pkcs11.CKM_RSA_PKCS, nil), slices.Concat(sha256Prefix, sum[:]))
		if err != nil {
			return nil, err
		}
		return signature, rsa.VerifyPKCS1v15(public, crypto.SHA256, sum[:], signature)
	case *ecdsa.PublicKey:
		raw, err := private.Sign(*pkcs11.NewMechanism(pkcs11.CKM_ECDSA, nil), sum[:])
		if err != nil {
			return nil, err
		}
		half := len(raw) / 2
		r, s := new(big.Int).SetBytes(raw[:half]), new(big.Int).SetBytes(raw[half:])
		if !ecdsa.Verify(public, sum[:], r, s) {
			return nil, errors.New("the signature is wrong")
		}
		return asn1.Marshal(struct{ R, S *big.Int }{r, s})
	default:
		return nil, fmt.Errorf("keys of type %T are not supported", public)
	}
}

// Returns the public key from the certificate or, without a certificate, from the public-key object.
func readPublic(session p11.Session) (crypto.PublicKey, string, error) {
	object, err := find(session, pkcs11.CKO_CERTIFICATE)
	if err == nil {
		der, err := object.Value()
		if err != nil {
			return nil, "", err
		}
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			return nil, "", err
		}
		return certificate.PublicKey, "certificate", nil
	}
	if !errors.Is(err, p11.ErrNoObjectsFound) {
		return nil, "", err
	}
	if object, err = find(session, pkcs11.CKO_PUBLIC_KEY); err != nil {
		return nil, "", err
	}
	// The package returns an empty value for an attribute that the object does not have.
	if modulus, err := object.Attribute(pkcs11.CKA_MODULUS); err == nil && len(modulus) > 0 {
		exponent, err := object.Attribute(pkcs11.CKA_PUBLIC_EXPONENT)
		if err != nil {
			return nil, "", err
		}
		e := new(big.Int).SetBytes(exponent)
		return &rsa.PublicKey{N: new(big.Int).SetBytes(modulus), E: int(e.Int64())}, "public key", nil
	}
	wrapped, err := object.Attribute(pkcs11.CKA_EC_POINT)
	if err != nil {
		return nil, "", err
	}
	var point []byte
	if _, err := asn1.Unmarshal(wrapped, &point); err != nil {
		return nil, "", err
	}
	curves := map[int]elliptic.Curve{65: elliptic.P256(), 97: elliptic.P384(), 133: elliptic.P521()}
	curve := curves[len(point)]
	if curve == nil {
		return nil, "", fmt.Errorf("CKA_EC_POINT has an unexpected length: %d bytes", len(point))
	}
	key, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	return key, "public key", err
}
