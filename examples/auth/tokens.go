package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const tokenTime = 5 * time.Minute

// Tokens issue and check JWTs.
type tokens struct {
	key      []byte
	accounts *accounts
}

type claims struct {
	jwt.RegisteredClaims
	Role       string `json:"role"`
	Generation int    `json:"gen"`
}

const issuer = "auth-example"

func (t *tokens) issue(user, role string) (string, error) {
	now := time.Now()
	c := claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: issuer, Subject: user,
			IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(tokenTime)),
		},
		Role: role, Generation: t.accounts.generationOf(user),
	}
	return jwt.NewWithClaims(jwt.SigningMethodHS256, c).SignedString(t.key)
}

var errLoggedOut = errors.New("the user has logged out since the token was issued")

// check returns what a token says, if it is good.
func (t *tokens) check(text string) (*claims, error) {
	var c claims
	_, err := jwt.ParseWithClaims(text, &c, func(*jwt.Token) (any, error) { return t.key, nil },
		jwt.WithValidMethods([]string{"HS256"}), // never what the token asks for
		jwt.WithIssuer(issuer), jwt.WithExpirationRequired())
	switch {
	case err != nil:
		return nil, fmt.Errorf("token: %w", err)
	case c.Subject == "":
		return nil, errors.New("token: it names nobody")
	case c.Generation != t.accounts.generationOf(c.Subject):
		return nil, errLoggedOut
	}
	return &c, nil
}
