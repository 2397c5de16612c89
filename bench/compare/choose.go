package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/wsgateway/gateway/bench/internal/serve"
	"github.com/wsgateway/gateway/bench/internal/workloads"
)

// choose is the workloads that are asked for, with the servers that are.
func choose(o options) ([]*workloads.Workload, error) {
	keys, err := names(o.only, func(yield func(string)) {
		for _, w := range workloads.All {
			yield(w.Key)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("-only: %w", err)
	}
	servers, err := names(o.servers, func(yield func(string)) {
		for _, s := range workloads.Servers() {
			yield(s)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("-servers: %w", err)
	}
	var out []*workloads.Workload
	for _, w := range workloads.All {
		if !slices.Contains(keys, w.Key) || o.only == "" && (w.Trick != "") != o.tricks {
			continue
		}
		w := *w
		w.Servers = slices.DeleteFunc(slices.Clone(w.Servers), func(s string) bool {
			variant := strings.HasPrefix(s, workloads.Ours+"-") && slices.Contains(servers, workloads.Ours)
			return !variant && !slices.Contains(servers, s)
		})
		if len(w.Servers) > 0 {
			out = append(out, &w)
		}
	}
	if out == nil {
		return nil, fmt.Errorf("none of these servers does any of these workloads")
	}
	return out, nil
}

// possible leaves out the workloads and the servers that this machine cannot do, and says
// of each why.
func possible(chosen []*workloads.Workload, scale workloads.Scale) (
	can []*workloads.Workload, skipped []string) {
	missing := map[string]error{}
	for _, w := range chosen {
		if err := w.Lacks(scale); err != nil {
			skipped = append(skipped, fmt.Sprintf("workload %s: %v", w.Key, err))
			continue
		}
		w.Servers = slices.DeleteFunc(w.Servers, func(s string) bool {
			if _, known := missing[s]; !known {
				if missing[s] = serve.Missing(s); missing[s] != nil {
					skipped = append(skipped, fmt.Sprintf("server %s: %v", s, missing[s]))
				}
			}
			return missing[s] != nil
		})
		if len(w.Servers) > 0 {
			can = append(can, w)
		}
	}
	return can, skipped
}

// names are those in a list, or all.
func names(list string, each func(func(string))) ([]string, error) {
	var all []string
	each(func(s string) { all = append(all, s) })
	if list == "" {
		return all, nil
	}
	chosen := strings.Split(list, ",")
	for _, s := range chosen {
		if !slices.Contains(all, s) {
			return nil, fmt.Errorf("%q is none of %s", s, strings.Join(all, ", "))
		}
	}
	return chosen, nil
}
