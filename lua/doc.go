// Package lua runs endpoint scripts: solutions written in Lua for the gateway,
// redeployed while it serves.
//
// A [Host] belongs to one [gateway.Handler] and serves one solution on it:
//
//	gw := gateway.New(nil)
//	scripts := lua.New(gw, nil)
//	if _, err := scripts.Deploy(ctx, os.DirFS("solution")); err != nil {
//		log.Fatal(err)
//	}
//
// # Solutions
//
// A solution is a tree of files: endpoints/*.lua, modules/*.lua and
// event_handler/*.lua, subfolders included; endpoint files may also lie in the
// root. A file of endpoints holds blocks, each after a line like
//
//	--#ENDPOINT WEBSOCKET /rooms/{id}
//
// Each block is the body of a function of websocketInfo and response that runs
// for every event of the sockets on its route. What it returns, or else
// response.message, is sent back. Modules run first and share one global
// environment with all scripts, which know their top-level locals as well.
// Handlers of other events, as below --#EVENT timer timer, run when the program
// triggers them: [Host.Trigger]. docs/lua-scripts.md is the page for those who
// write scripts.
//
// # What a run sees and what it can do
//
// Scripts run in VMs of which there is a pool, so that different sockets' events
// run in parallel; one socket's never overlap. Every run sees the globals as the
// modules left them; what it assigns ends with it. The locals of modules and the
// contents of tables may or may not survive. State that is to last belongs in a
// service, a Go function that the host offers ([Func]); package lua/keystore is
// one.
//
// No script can hang, crash or exhaust the host, or keep the CPU from others: [Limits]
// bound what a run computes, takes, holds, sends and prints, [HostLimits] what all runs
// do together, and no pcall catches an overrun. A run ends when its socket closes. A
// script has no files, no processes and no network but the gateway.
//
// # The VM
//
// Scripts are compiled and run by github.com/Shopify/go-lua, a Lua 5.2, with
// libraries of our own in the style of Lua 5.1. Differences from Lua 5.1 on
// LuaJIT:
//
//   - Coroutines yield through pcall, metamethods and library functions too, and
//     end with the run that has made them.
//   - pairs and next traverse in a fixed order: positive integers, other numbers,
//     strings, booleans, then the rest.
//   - The handler of xpcall runs after the stack of the error has been left.
//   - One expression or call can have about 250 operands or arguments.
//
// Two faults of the VM are only bounded, not mended, from outside: it closes
// captured variables by going over all open ones, and a table with thousands of
// keys that are tables or functions is traversed in quadratic time. The budgets
// count both.
package lua
