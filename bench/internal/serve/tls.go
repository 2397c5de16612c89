package serve

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"time"
)

// ownTLS is a server that brings an implementation of TLS of its own.
type ownTLS interface {
	serveTLS(l net.Listener, cert, key []byte) error
}

// SelfSigned makes a certificate for one server process, and its key, as PEM.
func SelfSigned() (cert, key []byte, err error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	now := time.Now()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		DNSNames:     []string{"localhost"},
		NotBefore:    now.Add(-time.Hour),
		NotAfter:     now.Add(24 * time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		return nil, nil, err
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return nil, nil, err
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), nil
}

// serveTLS serves over TLS with a certificate made for this process.
func serveTLS(s server, l net.Listener) error {
	cert, key, err := SelfSigned()
	if err != nil {
		return err
	}
	if own, ok := s.(ownTLS); ok {
		return own.serveTLS(l, cert, key)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return err
	}
	return s.serve(tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{pair},
		NextProtos: []string{"http/1.1"}}))
}
