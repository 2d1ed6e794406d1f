package main

import (
	"context"
	"io"
	"os"
)

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr, os.Getenv))
}

// run is the whole program as a function of its surroundings; it returns the exit
// code. Ending ctx stops at once, which is always safe. Commands that stop
// gracefully install a signal handler while they run; see [interruptible].
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, getenv func(string) string) int {
	p := &program{stdin: stdin, out: &printer{w: stdout}, err: &printer{w: stderr}, getenv: getenv}
	err := p.execute(ctx, args)
	p.printError(err)
	return exitCode(err)
}
