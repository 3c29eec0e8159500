// Signs a file with every mechanism that a token lists, with miekg/pkcs11: with C_Sign into MECHANISM.sig, and with C_SignUpdate and
// C_SignFinal into MECHANISM-parts.sig. Go's standard library verifies each signature with the token's public key, except those of
// secp256k1, which it does not support. The files have OpenSSL's format.
package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	_ "crypto/sha1"
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/asn1"
	"errors"
	"flag"
	"fmt"
	"log"
	"math/big"
	"os"
	"path/filepath"

	"github.com/miekg/pkcs11"
)

var (
	module = flag.String("module", "", "the module's path")
	token  = flag.String("token", "", "the token's label")
	file   = flag.String("file", "", "what to sign")
	out    = flag.String("out", ".", "folder for the signatures")
)

type mechanism struct {
	name  string
	typ   uint
	hash  crypto.Hash
	whole bool // the mechanism hashes the data; for the others the input is the hash
	pss   bool
}

var rsaMechanisms = []mechanism{
	{"RSA_PKCS", pkcs11.CKM_RSA_PKCS, crypto.SHA256, false, false},
	{"SHA256_RSA_PKCS", pkcs11.CKM_SHA256_RSA_PKCS, crypto.SHA256, true, false},
	{"SHA384_RSA_PKCS", pkcs11.CKM_SHA384_RSA_PKCS, crypto.SHA384, true, false},
	{"SHA512_RSA_PKCS", pkcs11.CKM_SHA512_RSA_PKCS, crypto.SHA512, true, false},
	{"RSA_PKCS_PSS", pkcs11.CKM_RSA_PKCS_PSS, crypto.SHA256, false, true},
	{"SHA256_RSA_PKCS_PSS", pkcs11.CKM_SHA256_RSA_PKCS_PSS, crypto.SHA256, true, true},
	{"SHA384_RSA_PKCS_PSS", pkcs11.CKM_SHA384_RSA_PKCS_PSS, crypto.SHA384, true, true},
	{"SHA512_RSA_PKCS_PSS", pkcs11.CKM_SHA512_RSA_PKCS_PSS, crypto.SHA512, true, true},
}

var ecMechanisms = []mechanism{
	{"ECDSA", pkcs11.CKM_ECDSA, crypto.SHA256, false, false},
	{"ECDSA_SHA1", pkcs11.CKM_ECDSA_SHA1, crypto.SHA1, true, false},
	{"ECDSA_SHA224", pkcs11.CKM_ECDSA_SHA224, crypto.SHA224, true, false},
	{"ECDSA_SHA256", pkcs11.CKM_ECDSA_SHA256, crypto.SHA256, true, false},
	{"ECDSA_SHA384", pkcs11.CKM_ECDSA_SHA384, crypto.SHA384, true, false},
	{"ECDSA_SHA512", pkcs11.CKM_ECDSA_SHA512, crypto.SHA512, true, false},
}

var sha256Prefix = []byte{0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20}

var pssHashes = map[crypto.Hash][2]uint{
	crypto.SHA256: {pkcs11.CKM_SHA256, pkcs11.CKG_MGF1_SHA256},
	crypto.SHA384: {pkcs11.CKM_SHA384, pkcs11.CKG_MGF1_SHA384},
	crypto.SHA512: {pkcs11.CKM_SHA512, pkcs11.CKG_MGF1_SHA512},
}

var curves = map[string]elliptic.Curve{
	"1.2.840.10045.3.1.7": elliptic.P256(),
	"1.3.132.0.34":        elliptic.P384(),
	"1.3.132.0.35":        elliptic.P521(),
	"1.3.132.0.10":        nil, // secp256k1, which Go does not support
}

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

	slot, err := findToken(p)
	if err != nil {
		return err
	}
	session, err := p.OpenSession(slot, pkcs11.CKF_SERIAL_SESSION)
	if err != nil {
		return err
	}
	defer p.CloseSession(session)

	if err := list(p, session); err != nil {
		return err
	}
	private, err := find(p, session, pkcs11.CKO_PRIVATE_KEY)
	if err != nil {
		return err
	}
	public, err := readPublic(p, session)
	if err != nil {
		return err
	}
	listed, err := p.GetMechanismList(slot)
	if err != nil {
		return err
	}
	offered := map[uint]bool{}
	for _, m := range listed {
		offered[m.Mechanism] = true
	}
	mechanisms := ecMechanisms
	if _, isRSA := public.(*rsa.PublicKey); isRSA {
		mechanisms = rsaMechanisms
	}
	if err := os.MkdirAll(*out, 0o700); err != nil {
		return err
	}
	for _, m := range mechanisms {
		if !offered[m.typ] {
			return fmt.Errorf("the token does not list %s", m.name)
		}
		for _, parts := range []bool{false, true} {
			if parts && !m.whole {
				continue
			}
			signature, err := sign(p, session, private, m, data, parts)
			if err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
			if signature, err = verify(public, m, data, signature); err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
			name := m.name + ".sig"
			if parts {
				name = m.name + "-parts.sig"
			}
			if err := os.WriteFile(filepath.Join(*out, name), signature, 0o600); err != nil {
				return err
			}
		}
		fmt.Println("signed", m.name)
	}
	return nil
}

func findToken(p *pkcs11.Ctx) (uint, error) {
	slots, err := p.GetSlotList(true)
	if err != nil {
		return 0, err
	}
	for _, slot := range slots {
		info, err := p.GetTokenInfo(slot)
		if err != nil {
			return 0, err
		}
		if info.Label == *token {
			return slot, nil
		}
	}
	return 0, fmt.Errorf("the module has no token %q", *token)
}

func list(p *pkcs11.Ctx, session pkcs11.SessionHandle) error {
	if err := p.FindObjectsInit(session, nil); err != nil {
		return err
	}
	objects, _, err := p.FindObjects(session, 100)
	if err != nil {
		return err
	}
	if err := p.FindObjectsFinal(session); err != nil {
		return err
	}
	classes := map[uint]string{pkcs11.CKO_PRIVATE_KEY: "private", pkcs11.CKO_PUBLIC_KEY: "public", pkcs11.CKO_CERTIFICATE: "certificate"}
	for _, object := range objects {
		values, err := p.GetAttributeValue(session, object, []*pkcs11.Attribute{
			pkcs11.NewAttribute(pkcs11.CKA_CLASS, nil),
			pkcs11.NewAttribute(pkcs11.CKA_LABEL, nil),
			pkcs11.NewAttribute(pkcs11.CKA_ID, nil),
		})
		if err != nil {
			return err
		}
		class := uint(values[0].Value[0])
		fmt.Printf("object %s %s %x\n", classes[class], values[1].Value, values[2].Value)
	}
	return nil
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
		return 0, fmt.Errorf("expected one object of class %d, found %d", class, len(objects))
	}
	return objects[0], nil
}

// Returns the public key, or nil for a curve that Go does not support.
func readPublic(p *pkcs11.Ctx, session pkcs11.SessionHandle) (crypto.PublicKey, error) {
	object, err := find(p, session, pkcs11.CKO_PUBLIC_KEY)
	if err != nil {
		return nil, err
	}
	get := func(types ...uint) ([][]byte, error) {
		template := make([]*pkcs11.Attribute, len(types))
		for i, typ := range types {
			template[i] = pkcs11.NewAttribute(typ, nil)
		}
		found, err := p.GetAttributeValue(session, object, template)
		if err != nil {
			return nil, err
		}
		values := make([][]byte, len(found))
		for i := range found {
			values[i] = found[i].Value
		}
		return values, nil
	}
	if rsaValues, err := get(pkcs11.CKA_MODULUS, pkcs11.CKA_PUBLIC_EXPONENT); err == nil {
		e := new(big.Int).SetBytes(rsaValues[1])
		return &rsa.PublicKey{N: new(big.Int).SetBytes(rsaValues[0]), E: int(e.Int64())}, nil
	}
	ec, err := get(pkcs11.CKA_EC_PARAMS, pkcs11.CKA_EC_POINT)
	if err != nil {
		return nil, err
	}
	var oid asn1.ObjectIdentifier
	if _, err := asn1.Unmarshal(ec[0], &oid); err != nil {
		return nil, err
	}
	var point []byte
	if rest, err := asn1.Unmarshal(ec[1], &point); err != nil || len(rest) != 0 {
		return nil, fmt.Errorf("CKA_EC_POINT is not an OCTET STRING: %x", ec[1])
	}
	curve, known := curves[oid.String()]
	if !known {
		return nil, fmt.Errorf("unknown curve %s", oid)
	}
	if curve == nil {
		return nil, nil
	}
	return ecdsa.ParseUncompressedPublicKey(curve, point)
}

func digest(hash crypto.Hash, data []byte) []byte {
	h := hash.New()
	h.Write(data)
	return h.Sum(nil)
}

func sign(p *pkcs11.Ctx, session pkcs11.SessionHandle, key pkcs11.ObjectHandle, m mechanism, data []byte, parts bool) ([]byte, error) {
	var parameter any
	if m.pss {
		parameter = pkcs11.NewPSSParams(pssHashes[m.hash][0], pssHashes[m.hash][1], uint(m.hash.Size()))
	}
	if err := p.SignInit(session, []*pkcs11.Mechanism{pkcs11.NewMechanism(m.typ, parameter)}, key); err != nil {
		return nil, err
	}
	if parts {
		for part := range bytes.Lines(data) {
			if err := p.SignUpdate(session, part); err != nil {
				return nil, err
			}
		}
		return p.SignFinal(session)
	}
	if !m.whole {
		data = digest(m.hash, data)
		if m.typ == pkcs11.CKM_RSA_PKCS {
			data = append(bytes.Clone(sha256Prefix), data...)
		}
	}
	return p.Sign(session, data)
}

// Returns the signature in OpenSSL's format: DER for an elliptic curve.
func verify(public crypto.PublicKey, m mechanism, data, signature []byte) ([]byte, error) {
	hashed := digest(m.hash, data)
	if key, isRSA := public.(*rsa.PublicKey); isRSA {
		if m.pss {
			return signature, rsa.VerifyPSS(key, m.hash, hashed, signature, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		}
		return signature, rsa.VerifyPKCS1v15(key, m.hash, hashed, signature)
	}
	half := len(signature) / 2
	r, s := new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:])
	der, err := asn1.Marshal(struct{ R, S *big.Int }{r, s})
	if err != nil {
		return nil, err
	}
	if key, isEC := public.(*ecdsa.PublicKey); isEC && !ecdsa.VerifyASN1(key, hashed, der) {
		return nil, errors.New("the signature is wrong")
	}
	return der, nil
}
