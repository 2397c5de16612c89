package lua

import (
	"io/fs"

	"github.com/wsgateway/gateway/lua/internal/source"
)

// A Declaration is the header of an endpoint in a solution.
type Declaration struct {
	Route string // the pattern, as written
	File  string // its path in the solution
	Line  int    // of the header
}

// Declarations returns the endpoints that the files of a solution declare, by file and
// line. It compiles nothing and reports nothing: [Check] does. One who watches files
// can tell with it what a deployment would remove.
func Declarations(fsys fs.FS) []Declaration {
	var all []Declaration
	for _, e := range source.Read(fsys).Endpoints {
		all = append(all, Declaration{Route: e.Pattern, File: e.File, Line: e.HeaderLine})
	}
	return all
}
