// Package bench measures the gateway side by side with its peers. The command
// is in bench/compare, its parts below bench/internal.
package bench
