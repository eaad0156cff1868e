package main

import (
	"fmt"
	"runtime"
)

func main() {
	fmt.Printf("Hello from a static binary, built by %s for %s/%s\n", runtime.Version(), runtime.GOOS, runtime.GOARCH)
}
