// What elastic/go-grok needs of CPU for a line that matches: microseconds per line, on standard output.
package main

import (
	"bufio"
	"fmt"
	"os"
	"syscall"

	"github.com/elastic/go-grok"
)

func cpu() int64 {
	var used syscall.Rusage
	syscall.Getrusage(0, &used)
	return used.Utime.Nano() + used.Stime.Nano()
}

func main() {
	grok, err := grok.NewComplete()
	if err != nil {
		panic(err)
	}
	if err := grok.Compile("%{COMBINEDAPACHELOG}", true); err != nil {
		panic(err)
	}
	var lines []string
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(make([]byte, 1<<20), 1<<20)
	for in.Scan() {
		lines = append(lines, in.Text())
	}
	before := cpu()
	for _, line := range lines {
		if values, err := grok.ParseString(line); err != nil || len(values) == 0 {
			panic(line)
		}
	}
	fmt.Printf("%.3f\n", float64(cpu()-before)/1e3/float64(len(lines)))
}
