// A real HashiCorp Vault for tests: a core in memory with the engine Transit and the auth methods that the module knows.
//
//	vault-server PORT CERTIFICATE KEY CLIENT_CA READY_FILE
//
// It serves Vault's API by TLS on 127.0.0.1, and asks clients for a certificate without requiring one. It serves the same API
// without TLS on another port, as a server in development mode does, and on a third port what the auth method kubernetes asks
// of a cluster. READY_FILE gets the two other addresses, the root token and the key that unseals the core, as JSON. Nothing else
// is stored.
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"

	log "github.com/hashicorp/go-hclog"
	jwt "github.com/hashicorp/vault-plugin-auth-jwt"
	kubernetes "github.com/hashicorp/vault-plugin-auth-kubernetes"
	"github.com/hashicorp/vault/builtin/credential/approle"
	"github.com/hashicorp/vault/builtin/credential/cert"
	"github.com/hashicorp/vault/builtin/credential/userpass"
	"github.com/hashicorp/vault/builtin/logical/transit"
	vaulthttp "github.com/hashicorp/vault/http"
	"github.com/hashicorp/vault/internalshared/configutil"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
)

// The plugins that the core can mount, by type and name.
var plugins = map[consts.PluginType]map[string]logical.Factory{
	consts.PluginTypeSecrets: {"transit": transit.Factory},
	consts.PluginTypeCredential: {
		"approle":    approle.Factory,
		"cert":       cert.Factory,
		"jwt":        jwt.Factory,
		"kubernetes": kubernetes.Factory,
		"userpass":   userpass.Factory,
	},
}

func main() {
	if len(os.Args) != 6 {
		fail(errors.New("usage: vault-server PORT CERTIFICATE KEY CLIENT_CA READY_FILE"))
	}
	port, certificate, key, clientAuthority, readyFile := os.Args[1], os.Args[2], os.Args[3], os.Args[4], os.Args[5]
	config, err := tlsConfig(certificate, key, clientAuthority)
	fail(err)
	core, root, unseal, err := start()
	fail(err)
	listener, err := tls.Listen("tcp", "127.0.0.1:"+port, config)
	fail(err)
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	fail(err)
	cluster, err := net.Listen("tcp", "127.0.0.1:0")
	fail(err)
	ready, err := json.Marshal(map[string]string{
		"root_token":      root,
		"unseal_key":      base64.StdEncoding.EncodeToString(unseal),
		"plain_address":   "http://" + plain.Addr().String(),
		"cluster_address": "http://" + cluster.Addr().String(),
	})
	fail(err)
	fail(os.WriteFile(readyFile, ready, 0o600))
	handler := vaulthttp.Handler.Handler(&vault.HandlerProperties{Core: core, ListenerConfig: &configutil.Listener{}})
	go func() { fail(http.Serve(plain, handler)) }()
	go func() { fail(http.Serve(cluster, http.HandlerFunc(reviewToken))) }()
	fail(http.Serve(listener, handler))
}

// reviewToken is the TokenReview API of a cluster that knows a single service account, "signer" in the namespace "build", whose
// token has the subject "system:serviceaccount:build:signer".
func reviewToken(response http.ResponseWriter, request *http.Request) {
	var review struct {
		Spec struct {
			Token     string
			Audiences []string
		}
	}
	known := json.NewDecoder(request.Body).Decode(&review) == nil
	parts := strings.Split(review.Spec.Token, ".")
	if known = known && len(parts) == 3; known {
		claims, err := base64.RawURLEncoding.DecodeString(parts[1])
		known = err == nil && strings.Contains(string(claims), `"system:serviceaccount:build:signer"`)
	}
	status := map[string]any{"authenticated": known}
	if known {
		status["user"] = map[string]any{"username": "system:serviceaccount:build:signer", "uid": "1"}
		status["audiences"] = review.Spec.Audiences
	} else {
		status["error"] = "unknown token"
	}
	response.Header().Set("Content-Type", "application/json")
	response.WriteHeader(http.StatusCreated)
	json.NewEncoder(response).Encode(map[string]any{
		"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview", "status": status,
	})
}

// start returns a core that is unsealed, its root token and its only unseal key.
func start() (*vault.Core, string, []byte, error) {
	logger := log.New(&log.LoggerOptions{Level: log.Error})
	storage, err := inmem.NewInmem(nil, logger)
	if err != nil {
		return nil, "", nil, err
	}
	core, err := vault.NewCore(&vault.CoreConfig{
		Physical:           storage,
		DisableMlock:       true,
		Logger:             logger,
		BuiltinRegistry:    registry{},
		LogicalBackends:    plugins[consts.PluginTypeSecrets],
		CredentialBackends: plugins[consts.PluginTypeCredential],
	})
	if err != nil {
		return nil, "", nil, err
	}
	made, err := core.Initialize(context.Background(), &vault.InitParams{
		BarrierConfig: &vault.SealConfig{SecretShares: 1, SecretThreshold: 1},
	})
	if err != nil {
		return nil, "", nil, err
	}
	_, err = core.Unseal(made.SecretShares[0])
	return core, made.RootToken, made.SecretShares[0], err
}

func tlsConfig(certificate, key, clientAuthority string) (*tls.Config, error) {
	own, err := tls.LoadX509KeyPair(certificate, key)
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(clientAuthority)
	if err != nil {
		return nil, err
	}
	clients := x509.NewCertPool()
	if !clients.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s contains no certificate", clientAuthority)
	}
	return &tls.Config{
		Certificates: []tls.Certificate{own},
		ClientCAs:    clients,
		// The auth method cert checks the certificate.
		ClientAuth: tls.RequestClientCert,
		NextProtos: []string{"h2", "http/1.1"},
	}, nil
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "vault-server:", err)
		os.Exit(1)
	}
}

// registry is the catalog of the plugins that are built in.
type registry struct{}

func (registry) Contains(name string, kind consts.PluginType) bool {
	return plugins[kind][name] != nil
}

func (registry) Get(name string, kind consts.PluginType) (func() (interface{}, error), bool) {
	factory, known := plugins[kind][name]
	return func() (interface{}, error) { return factory, nil }, known
}

func (registry) Keys(kind consts.PluginType) []string {
	var names []string
	for name := range plugins[kind] {
		names = append(names, name)
	}
	return names
}

func (registry) DeprecationStatus(string, consts.PluginType) (consts.DeprecationStatus, bool) {
	return consts.Supported, true
}

func (registry) IsBuiltinEntPlugin(string, consts.PluginType) bool {
	return false
}
