// As Choria does: it is told a module's path and slot 0, nothing else, signs with the key there and hands its certificate
// or public key over.
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

	"github.com/miekg/pkcs11"
)

var (
	module = flag.String("module", "", "the module's path")
	file   = flag.String("file", "", "what to sign")
	out    = flag.String("out", "signature", "where the signature goes")
	public = flag.String("public", "public.pem", "where the public key goes")
)

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
	p := pkcs11.New(*module)
	if p == nil {
		return fmt.Errorf("can't load %q", *module)
	}
	defer p.Destroy()
	if err := p.Initialize(); err != nil {
		return err
	}
	defer p.Finalize()

	slots, err := p.GetSlotList(true)
	if err != nil {
		return err
	}
	if len(slots) == 0 {
		return errors.New("no slot with a token")
	}
	info, err := p.GetTokenInfo(slots[0])
	if err != nil {
		return err
	}
	session, err := p.OpenSession(slots[0], pkcs11.CKF_SERIAL_SESSION|pkcs11.CKF_RW_SESSION)
	if err != nil {
		return err
	}
	defer p.CloseSession(session)
	// It always logs in, here without a PIN.
	if err := p.Login(session, pkcs11.CKU_USER, ""); err != nil && !errors.Is(err, pkcs11.Error(pkcs11.CKR_USER_ALREADY_LOGGED_IN)) {
		return fmt.Errorf("login: %w", err)
	}
	defer p.Logout(session)

	private, err := find(p, session, pkcs11.CKO_PRIVATE_KEY)
	if err != nil {
		return err
	}
	key, from, err := readPublic(p, session)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(data)
	var signature []byte
	switch key := key.(type) {
	case *rsa.PublicKey:
		if signature, err = sign(p, session, private, pkcs11.CKM_SHA256_RSA_PKCS, data); err != nil {
			return err
		}
		if err := rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature); err != nil {
			return err
		}
	case *ecdsa.PublicKey:
		raw, err := sign(p, session, private, pkcs11.CKM_ECDSA, sum[:])
		if err != nil {
			return err
		}
		half := len(raw) / 2
		signature, err = asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(raw[:half]), new(big.Int).SetBytes(raw[half:])})
		if err != nil {
			return err
		}
		if !ecdsa.VerifyASN1(key, sum[:], signature) {
			return errors.New("the signature is wrong")
		}
	default:
		return fmt.Errorf("a key of type %T", key)
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

func sign(p *pkcs11.Ctx, session pkcs11.SessionHandle, key pkcs11.ObjectHandle, mechanism uint, data []byte) ([]byte, error) {
	if err := p.SignInit(session, []*pkcs11.Mechanism{pkcs11.NewMechanism(mechanism, nil)}, key); err != nil {
		return nil, err
	}
	return p.Sign(session, data)
}

func find(p *pkcs11.Ctx, session pkcs11.SessionHandle, class uint) (pkcs11.ObjectHandle, error) {
	if err := p.FindObjectsInit(session, []*pkcs11.Attribute{pkcs11.NewAttribute(pkcs11.CKA_CLASS, class)}); err != nil {
		return 0, err
	}
	objects, _, err := p.FindObjects(session, 2)
	if err != nil {
		return 0, err
	}
	if err := p.FindObjectsFinal(session); err != nil {
		return 0, err
	}
	if len(objects) != 1 {
		return 0, fmt.Errorf("%d objects of class %d", len(objects), class)
	}
	return objects[0], nil
}

func values(p *pkcs11.Ctx, session pkcs11.SessionHandle, object pkcs11.ObjectHandle, types ...uint) ([][]byte, error) {
	template := make([]*pkcs11.Attribute, len(types))
	for i, typ := range types {
		template[i] = pkcs11.NewAttribute(typ, nil)
	}
	found, err := p.GetAttributeValue(session, object, template)
	if err != nil {
		return nil, err
	}
	result := make([][]byte, len(found))
	for i := range found {
		result[i] = found[i].Value
	}
	return result, nil
}

// From the certificate if there is one, else from the public key's object.
func readPublic(p *pkcs11.Ctx, session pkcs11.SessionHandle) (crypto.PublicKey, string, error) {
	if object, err := find(p, session, pkcs11.CKO_CERTIFICATE); err == nil {
		found, err := values(p, session, object, pkcs11.CKA_VALUE)
		if err != nil {
			return nil, "", err
		}
		certificate, err := x509.ParseCertificate(found[0])
		if err != nil {
			return nil, "", err
		}
		return certificate.PublicKey, "certificate", nil
	}
	object, err := find(p, session, pkcs11.CKO_PUBLIC_KEY)
	if err != nil {
		return nil, "", err
	}
	if found, err := values(p, session, object, pkcs11.CKA_MODULUS, pkcs11.CKA_PUBLIC_EXPONENT); err == nil {
		e := new(big.Int).SetBytes(found[1])
		return &rsa.PublicKey{N: new(big.Int).SetBytes(found[0]), E: int(e.Int64())}, "public key", nil
	}
	found, err := values(p, session, object, pkcs11.CKA_EC_POINT)
	if err != nil {
		return nil, "", err
	}
	var point []byte
	if _, err := asn1.Unmarshal(found[0], &point); err != nil {
		return nil, "", err
	}
	curves := map[int]elliptic.Curve{65: elliptic.P256(), 97: elliptic.P384(), 133: elliptic.P521()}
	curve := curves[len(point)]
	if curve == nil {
		return nil, "", fmt.Errorf("a point of %d bytes", len(point))
	}
	key, err := ecdsa.ParseUncompressedPublicKey(curve, point)
	return key, "public key", err
}
