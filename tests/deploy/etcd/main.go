// etcd for the tests. Its own main package cannot be installed by `go install` (replace directives); this is the same entry point.
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
