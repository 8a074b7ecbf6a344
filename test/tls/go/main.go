// A program with a client and a server of crypto/tls in it, to be looked into; it is never run.
package main

import (
	"crypto/tls"
	"net/http"
	"os"
)

func main() {
	conn, err := tls.Dial("tcp", os.Args[1], nil)
	if err != nil {
		panic(err)
	}
	conn.Close()
	panic(http.ListenAndServeTLS(os.Args[2], os.Args[3], os.Args[4], nil))
}
